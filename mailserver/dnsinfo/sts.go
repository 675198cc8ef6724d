package dnsinfo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// stsMaxAge is how long senders may keep the policy, in seconds: a week.
const stsMaxAge = 604800

// STSPolicy returns the MTA-STS policy of every domain here (RFC 8461, section 3.2).
func (i *Info) STSPolicy() string {
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n", i.config.STSMode, i.config.Hostname, stsMaxAge)
}

// STSID returns the id of the policy, which changes with it. RFC 8461, section 3.1: 1 to 32
// letters and digits.
func (i *Info) STSID() string {
	sum := sha256.Sum256([]byte(i.STSPolicy()))
	return hex.EncodeToString(sum[:8])
}
