package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	wfv1 "github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/workflow/common"
)

// What a pod's annotations say about how it goes. All are optional.
type script struct {
	lasts      time.Duration // facteur.test/run: how long it runs; 300ms
	exit       int32         // facteur.test/exit: the exit code of its main container; 0
	failTimes  int           // facteur.test/fail-times: so many pods of its node fail before one succeeds
	message    string        // facteur.test/message: of its main container
	podMessage string        // facteur.test/pod-message: of the pod, as after an eviction
	pending    string        // facteur.test/pending: a reason; it never starts
	progress   []string      // facteur.test/progress: "1/4,2/4", told on the way
	log        string        // facteur.test/log: what its main container wrote
}

func scriptOf(pod *corev1.Pod) (script, error) {
	say := func(name, otherwise string) string {
		if value := pod.Annotations["facteur.test/"+name]; value != "" {
			return value
		}
		return otherwise
	}
	lasts, err := time.ParseDuration(say("run", "300ms"))
	if err != nil {
		return script{}, err
	}
	exit, err := strconv.Atoi(say("exit", "0"))
	if err != nil {
		return script{}, err
	}
	failTimes, err := strconv.Atoi(say("fail-times", "0"))
	if err != nil {
		return script{}, err
	}
	progress := strings.FieldsFunc(say("progress", ""), func(r rune) bool { return r == ',' })
	return script{lasts: lasts, exit: int32(exit), failTimes: failTimes, message: say("message", ""),
		podMessage: say("pod-message", ""), pending: say("pending", ""), progress: progress, log: say("log", "")}, nil
}

func (k *kubelet) play(ctx context.Context, pod *corev1.Pod) {
	plan, err := scriptOf(pod)
	if err != nil {
		complain(pod, err)
		return
	}
	k.bind(ctx, pod)
	if plan.pending != "" {
		waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: plan.pending, Message: "Back-off pulling image"}}
		k.tell(ctx, pod, corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: states(pod.Spec.Containers, func(string) corev1.ContainerState { return waiting })})
		return
	}
	k.logs.keep(pod, plan.log)
	begun := metav1.Now()
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: begun}}
	k.tell(ctx, pod, corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &begun,
		InitContainerStatuses: states(pod.Spec.InitContainers, func(string) corev1.ContainerState { return ended(begun, 0, "") }),
		ContainerStatuses:     states(pod.Spec.Containers, func(string) corev1.ContainerState { return running })})
	killed := k.work(ctx, pod, plan)
	if ctx.Err() != nil {
		return
	}
	k.finish(ctx, pod, plan, begun, killed)
}

// Takes the time that the pod takes, and reports progress meanwhile. True when the workflow was stopped.
func (k *kubelet) work(ctx context.Context, pod *corev1.Pod, plan script) bool {
	k.report(ctx, pod, "false", "")
	begun, told := time.Now(), 0
	for time.Since(begun) < plan.lasts && ctx.Err() == nil {
		if k.stopped(pod) {
			return true
		}
		if told < len(plan.progress) && time.Since(begun) >= plan.lasts*time.Duration(told)/time.Duration(len(plan.progress)) {
			k.report(ctx, pod, "false", plan.progress[told])
			told++
		}
		time.Sleep(min(100*time.Millisecond, plan.lasts-time.Since(begun)))
	}
	return false
}

func (k *kubelet) finish(ctx context.Context, pod *corev1.Pod, plan script, begun metav1.Time, killed bool) {
	code, message := plan.exit, plan.message
	if plan.failTimes > 0 {
		node := pod.Annotations[common.AnnotationKeyNodeID]
		k.mu.Lock()
		if k.fails[node] < plan.failTimes {
			k.fails[node]++
			code = 1
		}
		k.mu.Unlock()
	}
	if killed {
		code, message = 143, ""
	}
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	k.report(ctx, pod, "true", "")
	k.tell(ctx, pod, corev1.PodStatus{Phase: phase, StartTime: &begun, Message: plan.podMessage,
		InitContainerStatuses: states(pod.Spec.InitContainers, func(string) corev1.ContainerState { return ended(begun, 0, "") }),
		ContainerStatuses: states(pod.Spec.Containers, func(name string) corev1.ContainerState {
			if name == common.MainContainerName {
				return ended(begun, code, message)
			}
			return ended(begun, 0, "")
		})})
}

// What the executor beside the main container would report.
func (k *kubelet) report(ctx context.Context, pod *corev1.Pod, complete, progress string) {
	results := k.argo.ArgoprojV1alpha1().WorkflowTaskResults(pod.Namespace)
	name := pod.Annotations[common.AnnotationKeyNodeID]
	result := &wfv1.WorkflowTaskResult{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: pod.OwnerReferences,
		Labels: map[string]string{
			common.LabelKeyWorkflow:               pod.Labels[common.LabelKeyWorkflow],
			common.LabelKeyReportOutputsCompleted: complete,
		}}, NodeResult: wfv1.NodeResult{Progress: wfv1.Progress(progress)}}
	persist(ctx, pod, func() error {
		_, err := results.Create(ctx, result, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		data, err := json.Marshal(result)
		if err != nil {
			return err
		}
		_, err = results.Patch(ctx, name, types.MergePatchType, data, metav1.PatchOptions{})
		return err
	})
}

func (k *kubelet) tell(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) {
	persist(ctx, pod, func() error {
		data, err := json.Marshal(map[string]any{"status": status})
		if err != nil {
			return err
		}
		_, err = k.kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, data, metav1.PatchOptions{}, "status")
		return err
	})
}

// Tries until it works: the API server may be restarting. A pod that is gone needs nothing more.
func persist(ctx context.Context, pod *corev1.Pod, attempt func() error) {
	for ctx.Err() == nil {
		err := attempt()
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		complain(pod, err)
		time.Sleep(500 * time.Millisecond)
	}
}

func states(containers []corev1.Container, state func(name string) corev1.ContainerState) []corev1.ContainerStatus {
	statuses := []corev1.ContainerStatus{}
	for _, container := range containers {
		now := state(container.Name)
		statuses = append(statuses, corev1.ContainerStatus{Name: container.Name, Image: container.Image, Ready: now.Running != nil, State: now})
	}
	return statuses
}

func ended(begun metav1.Time, code int32, message string) corev1.ContainerState {
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message, StartedAt: begun, FinishedAt: metav1.Now()}}
}
