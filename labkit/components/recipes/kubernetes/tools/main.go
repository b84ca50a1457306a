// Command tools is kubeadm and kubectl in one program: its own name says which one it is to be.
//
// They share nearly all of their packages, so that together they take little more of the disk than one does. They are
// not in the servers' program: its packages would nearly double what kubectl takes to start.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlerrors "k8s.io/kubectl/pkg/cmd/util"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "kubeadm":
		kubeadmerrors.HandleError(kubeadm.Run())
	case "kubectl":
		// Before the command is made: its plugins and its kuberc file are read meanwhile, and that is logged.
		logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
		kubectlerrors.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
	default:
		fmt.Fprintf(os.Stderr, "%s: neither of the tools in this program has that name\n", name)
		os.Exit(2)
	}
}
