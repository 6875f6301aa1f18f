// server runs etcd and kube-apiserver from their Go modules, for tests on this machine:
//
//	server etcd -data-dir DIR -client-url URL -peer-url URL
//	server apiserver FLAGS        (those of kube-apiserver)
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	switch verb {
	case "etcd":
		if err := etcd(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "apiserver":
		os.Args = append([]string{"kube-apiserver"}, os.Args[2:]...)
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	default:
		fmt.Fprintln(os.Stderr, "usage: server etcd|apiserver FLAGS")
		os.Exit(2)
	}
}

func etcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dir := flags.String("data-dir", "", "where the data is kept")
	client := flags.String("client-url", "", "where clients connect")
	peer := flags.String("peer-url", "", "where peers would connect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config := embed.NewConfig()
	// A test's data is of no use after a crash of the machine, and fsync costs a busy disk seconds.
	config.Dir, config.LogLevel, config.UnsafeNoFsync = *dir, "error", true
	for address, listen := range map[string][2]*[]url.URL{
		*client: {&config.ListenClientUrls, &config.AdvertiseClientUrls},
		*peer:   {&config.ListenPeerUrls, &config.AdvertisePeerUrls},
	} {
		parsed, err := url.Parse(address)
		if err != nil {
			return err
		}
		*listen[0], *listen[1] = []url.URL{*parsed}, []url.URL{*parsed}
	}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err := <-server.Err():
		return err
	case <-stop:
		return nil
	}
}
