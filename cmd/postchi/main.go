// Command postchi is the mail account manager: serve runs the panel and the mail server, the
// other commands do from a shell what the panel does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models"
)

// version is set by the build.
var version = "dev"

// Exit statuses of every command.
const (
	exitDone    = 0
	exitRefused = 1
	exitUsage   = 2
	exitLater   = 75 // EX_TEMPFAIL of sysexits.h
)

func main() {
	syscall.Umask(0o077) // nothing we make is for others
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program without its process, for tests.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	status := exitStatus(err)
	var found foundError
	if !errors.As(err, &found) {
		c.complain(err, status)
	}
	return status
}

// usageError marks a mistake in the words of a command, exit status 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

func exitStatus(err error) int {
	var usage usageError
	var e *models.Error
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &e) && (e.Kind == models.Unavailable || e.Kind == models.Limited):
		return exitLater
	case errors.As(err, &e):
		return exitRefused
	}
	return exitRefused
}

// complain prints what went wrong: the words, and the cause where it is the reader's to mend.
func (c *cli) complain(err error, status int) {
	if c.json {
		out := json.NewEncoder(c.stdout)
		out.SetEscapeHTML(false)
		out.Encode(map[string]any{"error": problems(err)})
		return
	}
	all := models.Errors(err)
	if len(all) == 0 {
		fmt.Fprintln(c.stderr, "postchi:", err)
	}
	for _, e := range all {
		fmt.Fprintln(c.stderr, "postchi:", e.Msg)
		if e.Err != nil {
			fmt.Fprintln(c.stderr, "  because:", e.Err)
		}
	}
	if status == exitUsage {
		fmt.Fprintln(c.stderr, "Try: postchi --help")
	}
}

type problem struct {
	Kind  string `json:"kind"`
	Key   string `json:"key,omitempty"`
	Field string `json:"field,omitempty"`
	Text  string `json:"text"`
}

func problems(err error) []problem {
	var out []problem
	for _, e := range models.Errors(err) {
		out = append(out, problem{e.Kind.String(), e.Key, e.Field, e.Msg})
	}
	if out == nil {
		out = []problem{{Kind: "internal", Text: err.Error()}}
		var usage usageError
		if errors.As(err, &usage) {
			out[0].Kind = "usage"
		}
	}
	return out
}

// cli is what the commands share: the streams and the flags of all of them.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	configFile     string
	dev            bool
	json           bool
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "postchi",
		Short:         "Mail accounts for hosting: the panel and the mail server in one program",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyVerbs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&c.configFile, "config", "", "configuration file (default "+defaultConfigFile+")")
	flags.BoolVar(&c.dev, "dev", false, "a copy to try out: data in ./data, everything on 127.0.0.1")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(c.serveCommand(), c.customerCommand(), c.userCommand(), c.domainCommand(), c.mailboxCommand(),
		c.aliasCommand(), c.relayCommand(), c.suppressionCommand(), c.limitsCommand(),
		c.queueCommand(), c.traceCommand(), c.authCommand(), c.settingsCommand(), c.doctorCommand(), c.migrateCommand(), c.versionCommand())
	return root
}

// noun makes a command that only has verbs; an unknown verb is a mistake in usage.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: onlyVerbs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(verbs...)
	return cmd
}

// onlyVerbs refuses words that are no command.
func onlyVerbs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())}
	}
	return nil
}

// exactly is cobra.ExactArgs with a mistake in usage.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

func (c *cli) loadConfig() (*Config, error) {
	file := c.configFile
	if file == "" {
		file = defaultConfigFile
	}
	return loadConfig(file, c.configFile != "", c.dev)
}

// print writes v as JSON with --json, else what text prints.
func (c *cli) print(v any, text func(w io.Writer)) error {
	if !c.json {
		text(c.stdout)
		return nil
	}
	out := json.NewEncoder(c.stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: exactly(0), RunE: func(*cobra.Command, []string) error {
		return c.print(map[string]string{"version": version}, func(w io.Writer) { fmt.Fprintln(w, "postchi", version) })
	}}
}
