package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	argoinformers "github.com/argoproj/argo-workflows/v4/pkg/client/informers/externalversions"
	argolisters "github.com/argoproj/argo-workflows/v4/pkg/client/listers/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/workflow/common"
)

// The node that pods are bound to, and the label by which they ask for it where real nodes are, too.
const (
	nodeName  = "stand-in"
	nodeLabel = "facteur.test/kubelet"
)

// Plays the pods that Argo makes: it binds them, brings them through their phases as their annotations say (see play.go),
// reports for their executor, and answers for their logs. It runs nothing.
type kubelet struct {
	cluster
	workflows argolisters.WorkflowLister
	logs      logs

	mu    sync.Mutex
	seen  map[types.UID]bool
	fails map[string]int
}

func newKubelet(c cluster) *kubelet {
	return &kubelet{cluster: c, seen: map[types.UID]bool{}, fails: map[string]int{}}
}

func (k *kubelet) run(ctx context.Context) error {
	if err := k.register(ctx, k.logs.serve(ctx)); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(k.kube, 0, informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.LabelSelector = common.LabelKeyWorkflow
	}))
	argo := argoinformers.NewSharedInformerFactory(k.argo, 0)
	k.workflows = argo.Argoproj().V1alpha1().Workflows().Lister()
	informer := argo.Argoproj().V1alpha1().Workflows().Informer()
	argo.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ctx.Err()
	}
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { k.look(ctx, object) },
		UpdateFunc: func(_, object any) { k.look(ctx, object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

// A node, so that the API server knows whom to ask for logs. It never asks for work: pods are bound to it by name.
func (k *kubelet) register(ctx context.Context, port int32) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{nodeLabel: nodeName}}}
	nodes := k.kube.CoreV1().Nodes()
	if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	found, err := nodes.Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	found.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	found.Status.DaemonEndpoints.KubeletEndpoint.Port = port
	found.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	_, err = nodes.UpdateStatus(ctx, found, metav1.UpdateOptions{})
	return err
}

func (k *kubelet) look(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	if pod.DeletionTimestamp != nil {
		// A deletion with a grace period waits for the kubelet to end the pod.
		now := int64(0)
		err := k.kube.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		complain(pod, err)
		return
	}
	k.mu.Lock()
	known := k.seen[pod.UID]
	k.seen[pod.UID] = true
	k.mu.Unlock()
	if !known && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
		go k.play(ctx, pod.DeepCopy())
	}
}

func (k *kubelet) bind(ctx context.Context, pod *corev1.Pod) {
	if pod.Spec.NodeName != "" {
		return
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
	}
	complain(pod, k.kube.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{}))
}

// Whether the pod's workflow is to stop. The controller stops a container by a command that it runs inside.
func (k *kubelet) stopped(pod *corev1.Pod) bool {
	workflow, err := k.workflows.Workflows(pod.Namespace).Get(pod.Labels[common.LabelKeyWorkflow])
	return err == nil && !workflow.Spec.Shutdown.ShouldExecute(pod.Labels[common.LabelKeyOnExit] == "true")
}

func complain(pod *corev1.Pod, err error) {
	if err != nil && !apierrors.IsNotFound(err) {
		fmt.Fprintln(os.Stderr, pod.Namespace, pod.Name, err)
	}
}
