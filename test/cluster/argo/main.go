// argo runs Argo's workflow controller, a stand-in for scheduler and kubelet, and what the argo command line does to one
// workflow, on the cluster that KUBECONFIG names:
//
//	argo controller
//	argo kubelet
//	argo retry|resubmit|stop|terminate|suspend|resume NAMESPACE NAME
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	workflows "github.com/argoproj/argo-workflows/v4/pkg/client/clientset/versioned"
	"github.com/argoproj/argo-workflows/v4/util/logging"
	"github.com/argoproj/argo-workflows/v4/workflow/common"
	"github.com/argoproj/argo-workflows/v4/workflow/controller"
)

// The namespace of the controller's ConfigMap.
const controllerNamespace = "argo"

// Clients of one cluster.
type cluster struct {
	config *rest.Config
	kube   kubernetes.Interface
	argo   workflows.Interface
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errors.New("usage: argo controller | kubelet | VERB NAMESPACE NAME")
	}
	ctx = logging.WithLogger(ctx, logging.NewSlogLogger(logging.Warn, logging.Text))
	c, err := connect()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 3:
		return act(ctx, c, args[0], args[1], args[2])
	case args[0] == "controller":
		return runController(ctx, c)
	case args[0] == "kubelet":
		return newKubelet(c).run(ctx)
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
}

func connect() (cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return cluster{}, err
	}
	// The default of 5 requests a second would be all that a test measures.
	config.QPS, config.Burst = 500, 1000
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return cluster{}, err
	}
	argo, err := workflows.NewForConfig(config)
	return cluster{config: config, kube: kube, argo: argo}, err
}

func runController(ctx context.Context, c cluster) error {
	executor := "argoexec:none"
	controller, err := controller.NewWorkflowController(ctx, c.config, c.kube, c.argo, controllerNamespace, "", executor,
		"IfNotPresent", "text", common.ConfigMapName, false)
	if err != nil {
		return err
	}
	go controller.Run(ctx, 32, 4, 4, 8, 8)
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}
