package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/postchi/postchi/models/db"
)

func (c *cli) migrateCommand() *cobra.Command {
	return &cobra.Command{Use: "migrate", Short: "Bring the database to this version's schema (serve does it too)", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		config, err := c.loadConfig()
		if err != nil {
			return err
		}
		if err := becomeOwner(config.DataDir, config.User); err != nil {
			return err
		}
		if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
			return err
		}
		log := newLogger(config, c.stderr)
		n, err := migrate(cmd.Context(), db.Config{URL: config.Database.URL, DataDir: config.DataDir, Log: log}, log)
		if err != nil {
			return err
		}
		return c.done(map[string]int{"steps": n}, "%d steps taken; the schema is the newest.", n)
	}}
}
