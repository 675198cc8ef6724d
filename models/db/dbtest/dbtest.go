// Package dbtest opens migrated databases for tests: SQLite always, MariaDB where the
// environment variable POSTCHI_TEST_MYSQL names a server (the command in its subfolder starts
// one and sets it; make test does so).
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/migrations"
	"github.com/postchi/postchi/models/db"
)

// Env names the variable with the URL of the test server, without a database.
const Env = "POSTCHI_TEST_MYSQL"

// Each runs fn as a subtest on a fresh database of each kind. Under CI=true a missing MariaDB
// fails the test; elsewhere it is skipped.
func Each(t *testing.T, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	EachConfig(t, func(t *testing.T, config db.Config) { fn(t, Open(t, config)) })
}

// EachConfig runs fn as a subtest with the configuration of a fresh migrated database of each
// kind, for tests that open it several times.
func EachConfig(t *testing.T, fn func(t *testing.T, config db.Config)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("mysql", func(t *testing.T) { fn(t, MySQL(t)) })
}

// SQLite returns the configuration of a fresh migrated SQLite database.
func SQLite(t testing.TB) db.Config {
	t.Helper()
	config := db.Config{URL: "sqlite", DataDir: t.TempDir()}
	migrate(t, config)
	return config
}

var databases atomic.Int64

// MySQL returns the configuration of a fresh migrated database on the test server, which is
// dropped with the test.
func MySQL(t testing.TB) db.Config {
	t.Helper()
	base := os.Getenv(Env)
	if base == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set", Env)
		}
		t.Skipf("%s is not set: run make test", Env)
	}
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("mysql", "root@unix("+u.Query().Get("socket")+")/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE IF EXISTS " + name); err != nil {
			t.Log(err)
		}
		admin.Close()
	})
	if _, err := admin.Exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	config := db.Config{URL: u.String(), DataDir: t.TempDir()}
	migrate(t, config)
	return config
}

// Open opens the database of config and closes it with the test.
func Open(t testing.TB, config db.Config) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func migrate(t testing.TB, config db.Config) {
	t.Helper()
	pool, dialect, err := db.OpenPool(config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := migrations.Apply(context.Background(), pool, dialect.String(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}
