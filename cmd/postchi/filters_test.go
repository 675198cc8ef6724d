package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/filter"
)

func TestFiltersOfTheConfiguration(t *testing.T) {
	file := writeConfig(t, goodConfig+"[filters]\ndnsbl = [\"zen.example.org\", \"Bad.example.org=refuse\"]\nrspamd = \"http://127.0.0.1:11333\"\ndnsbl_timeout = \"2s\"\non_failure = \"defer\"\n")
	c, err := loadConfig(file, true, false)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := c.filterChain(nil, slog.New(slog.DiscardHandler))
	if err != nil || len(chain.Entries) != 3 {
		t.Fatal(chain, err)
	}
	first, second := chain.Entries[0], chain.Entries[1]
	if d := first.Filter.(*filter.DNSBL); d.Zone != "zen.example.org" || d.Action != filter.ToJunk || first.Timeout != 2*time.Second || !first.Closed {
		t.Errorf("%+v of %+v", d, first)
	}
	if d := second.Filter.(*filter.DNSBL); d.Zone != "bad.example.org" || d.Action != filter.ToRefuse {
		t.Errorf("%+v", d)
	}
	if last := chain.Entries[2]; last.Filter.Name() != "rspamd" || last.Timeout != 20*time.Second {
		t.Errorf("%+v", last)
	}
}

func TestNoFiltersByDefault(t *testing.T) {
	if chain, err := defaults().filterChain(nil, nil); chain != nil || err != nil {
		t.Error(chain, err)
	}
}

func TestFiltersWithMistakes(t *testing.T) {
	file := writeConfig(t, goodConfig+"[filters]\ndnsbl = [\"a..b\", \"x.example=hide\"]\nrspamd = \"127.0.0.1\"\nrspamd_timeout = \"0s\"\non_failure = \"drop\"\n[dns]\nresolver = \"dns.example\"\n")
	_, err := loadConfig(file, true, false)
	if err == nil {
		t.Fatal("taken")
	}
	for _, key := range []string{"a..b", "x.example=hide", "filters.rspamd:", "filters.rspamd_timeout", "filters.on_failure", "dns.resolver"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in: %v", key, err)
		}
	}
}
