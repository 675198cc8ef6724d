// Command mariadb runs a command with a MariaDB of its own: it starts an empty server, sets
// POSTCHI_TEST_MYSQL, runs its arguments, stops the server and exits as the command did.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/postchi/postchi/models/db/dbtest"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: mariadb COMMAND [ARGUMENT ...]")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1:]))
}

func run(command []string) int {
	// An interrupt reaches the command too; the server is stopped after it.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	server, err := dbtest.StartServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mariadb:", err)
		return 1
	}
	defer server.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), dbtest.Env+"="+server.URL(""))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mariadb:", err)
		return 1
	}
	return 0
}
