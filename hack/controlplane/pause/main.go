// Command pause is the sandbox of a pod on the real node: it holds the pod's namespaces and does nothing until it is told
// to end.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}
