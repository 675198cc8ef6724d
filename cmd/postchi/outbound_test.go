package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOutboundConfig(t *testing.T) {
	t.Setenv("POSTCHI_QUEUE_RETRY", "10m,20m")
	t.Setenv("POSTCHI_OUTBOUND_SMARTHOST", "us%40er:p%3Aw@relay.example.net:2587")
	c, err := loadConfig(writeConfig(t, goodConfig+"[queue]\nretry = [\"1m\", \"1h\"]\nlifetime = \"48h\"\n"), true, false)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := c.Outbound.smarthost()
	if err != nil || relay.Host != "relay.example.net" || relay.Port != 2587 || relay.Username != "us@er" || relay.Password != "p:w" || relay.Security != "starttls" {
		t.Errorf("%+v, %v", relay, err)
	}
	if p := c.Queue.plan(); !slices.Equal(p.Retry, []time.Duration{10 * time.Minute, 20 * time.Minute}) || p.Lifetime != 48*time.Hour {
		t.Errorf("%+v", p)
	}
	t.Setenv("POSTCHI_QUEUE_RETRY", "1s")
	_, err = loadConfig(writeConfig(t, goodConfig+`[outbound]
port = 0
policy_port = 65536
source = "mail"
concurrency = 0
smarthost = "user:secret@host:port:x"
smarthost_security = "none"
[queue]
retry = ["1s"]
lifetime = "1m"
`), true, false)
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"outbound.port", "outbound.policy_port is 65536", "outbound.source", "outbound.concurrency", "queue.retry has 1s", "queue.lifetime"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among the mistakes:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in the mistakes:\n%v", err)
	}
}
