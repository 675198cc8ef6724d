package filter

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/postchi/postchi/models"
)

// maxAnswer is the largest answer of rspamd that is read, in bytes.
const maxAnswer = 256 << 10

// Rspamd asks rspamd over HTTP (its protocol "checkv2").
type Rspamd struct {
	url    string
	client *http.Client
}

// NewRspamd makes a filter that asks the normal worker at an address such as
// http://127.0.0.1:11333. The error is of kind Invalid.
func NewRspamd(address string) (*Rspamd, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, models.Errorf(models.Invalid, "filter.rspamd", "%q is no http or https address.", address)
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &Rspamd{url: u.JoinPath("checkv2").String(), client: &http.Client{
		// No proxy of the environment, no redirect: the message goes where the setting says.
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second,
			MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name returns "rspamd".
func (r *Rspamd) Name() string { return "rspamd" }

// answer is what is read of rspamd's.
type answer struct {
	Action   string   `json:"action"`
	Score    float64  `json:"score"`
	Required *float64 `json:"required_score"`
}

// Check streams the message to rspamd.
func (r *Rspamd) Check(ctx context.Context, m *Message) (Verdict, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, io.NewSectionReader(m.Body, 0, m.Size))
	if err != nil {
		return Verdict{}, err
	}
	request.ContentLength = m.Size
	request.Header = describe(m)
	response, err := r.client.Do(request)
	if err != nil {
		return Verdict{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Verdict{}, err
	case response.StatusCode != http.StatusOK:
		return Verdict{}, fmt.Errorf("rspamd answers %s", response.Status)
	case len(body) > maxAnswer:
		return Verdict{}, fmt.Errorf("answer of rspamd is larger than %d bytes", maxAnswer)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return Verdict{}, fmt.Errorf("answer of rspamd: %w", err)
	}
	return a.verdict()
}

// describe says in header fields what the message does not.
func describe(m *Message) http.Header {
	h := http.Header{}
	set := func(name, value string) {
		if value != "" {
			h.Add(name, printable(value))
		}
	}
	set("From", m.Sender.String())
	for _, to := range m.Recipients {
		set("Rcpt", to)
	}
	if m.Remote.IsValid() {
		set("IP", m.Remote.Unmap().String())
	}
	set("Helo", m.HELO)
	set("Queue-Id", m.ID)
	if m.Verify != nil {
		set("Hostname", m.Verify.Host)
	}
	return h
}

// printable replaces what cannot stand in a field of HTTP.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

// verdict maps rspamd's actions. "is_skipped" is not looked at: it says that not all rules were
// needed, also of a message that is to be rejected. Nothing that was accepted vanishes: "discard" is a refusal.
func (a *answer) verdict() (Verdict, error) {
	v := Verdict{Summary: fmt.Sprintf("rspamd=%.1f", a.Score)}
	switch a.Action {
	case "no action", "accept":
	case "add header", "rewrite subject", "quarantine":
		v.Junk = true
	case "reject", "discard":
		v.Refuse = models.Errorf(models.Denied, "filter.spam", "The message looks like spam.")
	case "soft reject", "greylist":
		v.Refuse = models.Errorf(models.Limited, "filter.later", "The message is not taken now, but may be later.")
	default:
		return Verdict{}, fmt.Errorf("rspamd wants %q, which is unknown", printable(a.Action))
	}
	v.Fields = fmt.Appendf(nil, "X-Spam-Status: %s, score=%.2f", map[bool]string{false: "No", true: "Yes"}[v.Junk], a.Score)
	if a.Required != nil {
		v.Fields = fmt.Appendf(v.Fields, " required=%.2f", *a.Required)
	}
	v.Fields = append(v.Fields, "\r\n"...)
	return v, nil
}
