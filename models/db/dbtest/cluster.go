package dbtest

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models/db"
)

// InteropEnv names the variable that asks for the tests that need foreign servers, as make
// interop sets it.
const InteropEnv = "POSTCHI_INTEROP"

// Interop reports whether tests with foreign servers are to be run.
func Interop() bool { return os.Getenv(InteropEnv) != "" }

// galera is where Debian's package galera-4 has its library.
const galera = "/usr/lib/galera/libgalera_smm.so"

// ErrNoGalera says that MariaDB cannot be clustered here.
var ErrNoGalera = errors.New("galera is not installed (Debian: galera-4, rsync)")

// StartCluster starts a Galera cluster of n nodes on the loopback, each with a folder and a
// socket of its own; the first is where it begins. Close the nodes in any order.
func StartCluster(n int) (nodes []*Server, err error) {
	if _, err := os.Stat(galera); err != nil {
		return nil, ErrNoGalera
	}
	defer func() {
		if err != nil {
			for _, s := range nodes {
				s.Close()
			}
			nodes = nil
		}
	}()
	addresses := make([]string, n)
	for i := range addresses {
		if addresses[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	for i := range n {
		s, err := newServer()
		if err != nil {
			return nodes, err
		}
		if s.extra, err = clusterArgs(addresses, i); err != nil {
			return nodes, err
		}
		if i == 0 {
			err = s.start("--wsrep-new-cluster")
		} else {
			err = s.start()
		}
		if err == nil {
			nodes = append(nodes, s)
			err = s.synced()
		}
		if err != nil {
			return nodes, fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	return nodes, nil
}

// OnCluster returns the configuration of a fresh migrated database on each node, each with a data
// folder of its own.
func OnCluster(t testing.TB, nodes []*Server) []db.Config {
	t.Helper()
	admin, err := sql.Open("mysql", "root@unix("+nodes[0].Socket()+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if _, err := admin.Exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
		t.Fatal(err)
	}
	var all []db.Config
	for _, s := range nodes {
		all = append(all, db.Config{URL: s.URL(name), DataDir: t.TempDir()})
	}
	migrate(t, all[0])
	return all
}

// freeAddress returns an address of the loopback whose port is free at the moment.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func clusterArgs(addresses []string, i int) ([]string, error) {
	incremental, err := freeAddress()
	if err != nil {
		return nil, err
	}
	state, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return []string{
		"--wsrep-on=ON", "--wsrep-provider=" + galera, "--wsrep-cluster-name=postchi-test", fmt.Sprintf("--wsrep-node-name=node%d", i+1),
		"--wsrep-cluster-address=gcomm://" + strings.Join(addresses, ","), "--wsrep-node-address=" + addresses[i],
		"--wsrep-node-incoming-address=127.0.0.1",
		"--wsrep-provider-options=gmcast.listen_addr=tcp://" + addresses[i] + ";ist.recv_addr=" + incremental + ";gcache.size=64M",
		"--wsrep-sst-method=rsync", "--wsrep-sst-receive-address=" + state,
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--default-storage-engine=InnoDB",
	}, nil
}

// synced waits until a node serves as a part of its cluster.
func (s *Server) synced() error {
	pool, err := sql.Open("mysql", "root@unix("+s.Socket()+")/")
	if err != nil {
		return err
	}
	defer pool.Close()
	for deadline := time.Now().Add(60 * time.Second); ; {
		var name, value string
		err := pool.QueryRow("SHOW STATUS LIKE 'wsrep_ready'").Scan(&name, &value)
		if err == nil && value == "ON" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready: %s %v", value, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
