package db

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/postchi/postchi/models"
)

// sqliteFile is the database's name in the data folder.
const sqliteFile = "postchi.db"

type pools struct {
	dialect     Dialect
	read, write *sql.DB
}

func (p pools) close() error { return errors.Join(p.read.Close(), p.write.Close()) }

// OpenPool opens one plain pool on the database of config for migrations, which need no node
// number and no writers. On SQLite it makes the file.
func OpenPool(config Config) (*sql.DB, Dialect, error) {
	p, err := openPools(config)
	if err != nil {
		return nil, 0, err
	}
	return p.write, p.dialect, p.read.Close()
}

func openPools(config Config) (pools, error) {
	if config.URL == "" || config.URL == "sqlite" {
		return openSQLite(config)
	}
	c, err := mysqlConfig(config)
	if err != nil {
		return pools{}, err
	}
	return openMySQL(config, c)
}

// openSQLite opens a pool for reading and one for writing. The pragmas stand in the DSN so
// that every connection has them. synchronous=FULL: with WAL, NORMAL could drop the last
// commits at a power cut, and we have answered 250 for them.
func openSQLite(config Config) (pools, error) {
	file := filepath.Join(config.DataDir, sqliteFile)
	dsn := func(extra string) string {
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath()}).String() +
			"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(OFF)" +
			"&_pragma=temp_store(MEMORY)&_pragma=journal_size_limit(67108864)" + extra
	}
	write, err := sql.Open("sqlite", dsn("&_txlock=immediate&_pragma=cache_size(-32768)&_pragma=wal_autocheckpoint(4000)"))
	if err != nil {
		return pools{}, fmt.Errorf("open %s: %w", file, err)
	}
	write.SetMaxOpenConns(2) // the writer's own, and one for claiming and releasing the node
	read, err := sql.Open("sqlite", dsn("&_pragma=query_only(1)&_pragma=cache_size(-8192)"))
	if err != nil {
		return pools{}, errors.Join(err, write.Close())
	}
	n := config.Readers
	if n == 0 {
		n = 8
	}
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	// The first connection makes the file and turns it to WAL; a read-only one could not.
	if err := write.Ping(); err != nil {
		return pools{}, errors.Join(unavailable(err), write.Close(), read.Close())
	}
	return pools{dialect: SQLite, read: read, write: write}, nil
}

func openMySQL(config Config, c *mysql.Config) (pools, error) {
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return pools{}, err
	}
	read := sql.OpenDB(connector)
	n := config.Readers
	if n == 0 {
		n = 32
	}
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	read.SetConnMaxIdleTime(5 * time.Minute)
	write := sql.OpenDB(connector)
	write.SetMaxOpenConns(config.Writers + 2)
	write.SetMaxIdleConns(config.Writers + 2)
	return pools{dialect: MySQL, read: read, write: write}, nil
}

// driverLog takes what the driver has to say of broken connections, each of which the one who
// used it is told as well.
type driverLog struct{ log *slog.Logger }

func (l driverLog) Print(v ...any) {
	l.log.Debug("database driver", "said", strings.TrimSpace(fmt.Sprintln(v...)))
}

// mysqlConfig turns our URL into the driver's form. clientFoundRows makes an
// UPDATE that changes nothing count its row, as on SQLite.
func mysqlConfig(config Config) (*mysql.Config, error) {
	u, err := url.Parse(config.URL)
	if err != nil || u.Scheme != "mysql" {
		// The parse error would print the password.
		return nil, models.Errorf(models.Invalid, "config.database", "The database URL must be \"sqlite\" or mysql://user:password@host:3306/name.")
	}
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.TrimPrefix(u.Path, "/")
	q := u.Query()
	switch socket := q.Get("socket"); {
	case socket != "":
		c.Net, c.Addr = "unix", socket
	case u.Host != "":
		c.Net, c.Addr = "tcp", u.Host
		if u.Port() == "" {
			c.Addr += ":3306"
		}
	}
	if c.DBName == "" {
		return nil, models.Errorf(models.Invalid, "config.database", "The database URL names no database.")
	}
	if tls := q.Get("tls"); tls != "" {
		c.TLSConfig = tls
	}
	c.InterpolateParams = true
	c.ClientFoundRows = true
	c.ParseTime = true // goose's lock table has TIMESTAMP columns; ours hold numbers
	c.Collation = "utf8mb4_bin"
	c.Timeout = 5 * time.Second
	c.ReadTimeout = 30 * time.Second
	c.WriteTimeout = 30 * time.Second
	c.Params = map[string]string{
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": "5",
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
	}
	log := config.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c.Logger = driverLog{log}
	return c, nil
}
