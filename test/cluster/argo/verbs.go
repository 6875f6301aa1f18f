package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argoproj/argo-workflows/v4/persist/sqldb"
	wfv1 "github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/workflow/hydrator"
	"github.com/argoproj/argo-workflows/v4/workflow/util"
)

// What Argo's server and command line do to a workflow, by the functions that they use.
func act(ctx context.Context, c cluster, verb, namespace, name string) error {
	workflows := c.argo.ArgoprojV1alpha1().Workflows(namespace)
	nodes := hydrator.New(sqldb.ExplosiveOffloadNodeStatusRepo)
	switch verb {
	case "retry":
		return retry(ctx, c, namespace, name, "")
	case "restart": // argo retry --restart-successful --node-field-selector phase=Succeeded
		return retry(ctx, c, namespace, name, "phase=Succeeded")
	case "resubmit":
		return resubmit(ctx, c, namespace, name)
	case "stop":
		return util.StopWorkflow(ctx, workflows, nodes, name, "", "stopped by hand")
	case "terminate":
		return util.TerminateWorkflow(ctx, workflows, name)
	case "suspend":
		return util.SuspendWorkflow(ctx, workflows, name)
	case "resume":
		return util.ResumeWorkflow(ctx, workflows, nodes, name, "")
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
}

// The selector says which nodes run again although they succeeded; none if it is empty.
func retry(ctx context.Context, c cluster, namespace, name, succeeded string) error {
	workflows := c.argo.ArgoprojV1alpha1().Workflows(namespace)
	nodes := hydrator.New(sqldb.ExplosiveOffloadNodeStatusRepo)
	old, err := workflows.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := nodes.Hydrate(ctx, old); err != nil {
		return err
	}
	again, pods, err := util.FormulateRetryWorkflow(ctx, old, succeeded != "", succeeded, nil)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := c.kube.CoreV1().Pods(namespace).Delete(ctx, pod, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	if err := nodes.Dehydrate(ctx, again); err != nil {
		return err
	}
	_, err = workflows.Update(ctx, again, metav1.UpdateOptions{})
	return err
}

// Prints the name of the new workflow.
func resubmit(ctx context.Context, c cluster, namespace, name string) error {
	workflows := c.argo.ArgoprojV1alpha1().Workflows(namespace)
	old, err := workflows.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	again, err := util.FormulateResubmitWorkflow(ctx, old, false, nil)
	if err != nil {
		return err
	}
	created, err := util.SubmitWorkflow(ctx, workflows, c.argo, namespace, again, &wfv1.Workflow{}, &wfv1.SubmitOpts{})
	if err != nil {
		return err
	}
	fmt.Println(created.Name)
	return nil
}
