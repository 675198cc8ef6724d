// Package dkim signs what leaves (RFC 6376), with RSA and Ed25519 at once (RFC 8463), and leads
// the keys of domains through their lives.
//
// A domain has keys of its own, made with it, sealed in table dkim_keys. A key is next until
// the DNS shows its record, then active, which alone signs; with a successor active it is
// retiring, its record still needed by mail under way, and after KeepPublished retired. No key
// signs before receivers can find it, so that a message never fails for a record that is still
// to come; until then mail goes out unsigned, or signed by the key before.
package dkim

import (
	"time"

	"github.com/postchi/postchi/models"
)

const (
	// KeepPublished is how long the record of a key is needed after its last signature: 5 days in
	// the queue, 7 in which receivers may look at a message again, and reserve.
	KeepPublished = 14 * 24 * time.Hour
	// settle is how long the DNS must have shown a key at a selector at which it showed another
	// one before: the other one may be in caches for as long (the largest usual TTL).
	settle = 24 * time.Hour
	// rsaBits is the size of RSA keys. RFC 8301, section 3.2: signers must use at least 1024
	// and should use at least 2048; larger ones do not fit into an answer by UDP.
	rsaBits = 2048
)

// algorithms are those that every domain has a key of.
var algorithms = []models.DKIMAlgorithm{models.DKIMRSA, models.DKIMEd25519}

// Box seals private keys for the database.
type Box interface {
	Seal(plain []byte, context string) (string, error)
	Unseal(sealed, context string) ([]byte, error)
}

// sealContext binds a sealed private key to its row.
func sealContext(id models.ID) string { return "dkim:" + id.String() }
