// Command node is every program of a one-node Kubernetes, with etcd and network policies, in one binary that is linked
// once: the first argument chooses the program, the others are its own.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "say which program: etcd, kubectl, kubelet, kube-apiserver, ...")
		os.Exit(2)
	}
	name := os.Args[1]
	// Every program reads its own arguments as if it had been called by its name.
	os.Args = os.Args[1:]
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
		return
	case "network-policies":
		log.Fatal(enforcePolicies(os.Getenv("KUBECONFIG")))
	}
	command, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "there is no program %s in here\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command()))
}
