// Command app is what the containers of the test run: its first argument selects how it behaves, well or badly.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "app: say what to do")
		os.Exit(64)
	}
	switch behaviour, args := os.Args[1], os.Args[2:]; behaviour {
	case "run": // until SIGTERM
		run()
	case "exit": // CODE [AFTER]
		code, _ := strconv.Atoi(args[0])
		if len(args) > 1 {
			after, _ := time.ParseDuration(args[1])
			time.Sleep(after)
		}
		_ = os.WriteFile("/dev/termination-log", []byte("giving up on purpose"), 0o600)
		os.Exit(code)
	case "eat": // memory, until the kernel objects
		var eaten [][]byte
		for {
			piece := make([]byte, 1<<20)
			for i := 0; i < len(piece); i += 512 {
				piece[i] = 1
			}
			eaten = append(eaten, piece)
			time.Sleep(5 * time.Millisecond)
			if len(eaten) > 4096 {
				os.Exit(65)
			}
		}
	case "write": // PATH MEBIBYTES, then run
		mebibytes, _ := strconv.Atoi(args[1])
		if err := os.WriteFile(args[0], make([]byte, mebibytes<<20), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "app:", err)
			os.Exit(66)
		}
		run()
	case "serve": // 200 on /well, 500 on /ill, 200 on /later after 5 seconds
		started := time.Now()
		http.HandleFunc("/well", func(http.ResponseWriter, *http.Request) {})
		http.HandleFunc("/ill", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the database does not answer", http.StatusInternalServerError)
		})
		http.HandleFunc("/later", func(w http.ResponseWriter, _ *http.Request) {
			if time.Since(started) < 5*time.Second {
				http.Error(w, "warming up", http.StatusServiceUnavailable)
			}
		})
		server := &http.Server{Addr: ":8080", ReadHeaderTimeout: time.Second}
		fmt.Fprintln(os.Stderr, "app:", server.ListenAndServe())
		os.Exit(67)
	default:
		fmt.Fprintln(os.Stderr, "app: unknown behaviour", behaviour)
		os.Exit(64)
	}
}

// run returns when the container is to end.
func run() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}
