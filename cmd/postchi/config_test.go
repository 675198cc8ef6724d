package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// keys walks the configuration's struct and returns every key with its default.
func keys(v reflect.Value, prefix string, out map[string]string) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		field := v.Field(i)
		if name == "-" {
			continue
		}
		if field.Kind() == reflect.Struct {
			keys(field, prefix+name+".", out)
			continue
		}
		out[prefix+name] = printed(field)
	}
}

func printed(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		s := x.String()
		for _, zero := range []string{"0s", "0m"} {
			if len(s) > 2 && strings.HasSuffix(s, "m"+zero) || strings.HasSuffix(s, "h"+zero) {
				s = strings.TrimSuffix(s, zero)
			}
		}
		return s
	case Size:
		return x.String()
	case Addrs:
		return strings.Join(x, ",")
	case []string:
		return "[]"
	case []time.Duration:
		all := make([]string, len(x))
		for i := range x {
			all[i] = printed(reflect.ValueOf(x[i]))
		}
		return strings.Join(all, ",")
	}
	return fmt.Sprint(v.Interface())
}

func TestConfigurationIsDocumented(t *testing.T) {
	code := map[string]string{}
	keys(reflect.ValueOf(defaults()).Elem(), "", code)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_0-9.]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = strings.Trim(m[2], "`")
	}
	for key, value := range code {
		got, ok := documented[key]
		if !ok {
			t.Errorf("%s is not in docs/configuration.md", key)
		} else if got != value && !(value == "" && (got == "–" || strings.HasPrefix(got, "https://"))) {
			t.Errorf("%s: documented default %q, in the code %q", key, got, value)
		}
	}
	for key := range documented {
		if _, ok := code[key]; !ok {
			t.Errorf("%s is documented but does not exist", key)
		}
	}
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "postchi.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const goodConfig = "hostname = \"Mail.Example.net\"\n[tls]\ncert = \"c\"\nkey = \"k\"\n"

func TestConfigEnvironmentWinsOverFile(t *testing.T) {
	t.Setenv("POSTCHI_SMTP_MAX_MESSAGE", "10MB")
	t.Setenv("POSTCHI_LISTEN_MX", "127.0.0.1:2525, [::1]:2525")
	t.Setenv("POSTCHI_LISTEN_POP3", "")
	t.Setenv("POSTCHI_LIMITS_IDLE", "7m")
	file := writeConfig(t, goodConfig+"[smtp]\nmax_message = \"20MB\"\nmax_recipients = 200\n[listen]\nhttps = [\":443\", \":8443\"]\n")
	c, err := loadConfig(file, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if c.SMTP.MaxMessage != 10<<20 || c.SMTP.MaxRecipients != 200 || len(c.Listen.MX) != 2 || len(c.Listen.HTTPS) != 2 || len(c.Listen.POP3) != 0 || c.Limits.Idle != 7*time.Minute {
		t.Errorf("%+v", c)
	}
	if c.Hostname != "mail.example.net" || c.PublicURL != "https://mail.example.net" {
		t.Errorf("%s %s", c.Hostname, c.PublicURL)
	}
}

func TestConfigReportsEveryMistakeAtOnce(t *testing.T) {
	t.Setenv("POSTCHI_AUTH_BCRYPT_COST", "4")
	file := writeConfig(t, "hostnam = \"x\"\n[tls]\nmode = \"acme\"\nacme_directory = \"http://x\"\n[blob]\ndriver = \"s3\"\n[smtp]\nmax_recipients = 5\n[listen]\nmx = \"25\"\n[log]\nlevel = \"loud\"\n")
	_, err := loadConfig(file, true, false)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"hostnam", "hostname is not set", "acme_directory", "s3", "max_recipients", "bcrypt_cost", "listen.mx", "log.level"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestDevNeedsNoFile(t *testing.T) {
	c, err := loadConfig(filepath.Join(t.TempDir(), "none.toml"), false, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, addrs := range c.Listen.all() {
		for _, a := range addrs {
			if !strings.HasPrefix(a, "127.0.0.1:") {
				t.Errorf("%s listens on %s", name, a)
			}
		}
	}
	if c.User != "" || c.TLS.Mode != "dev" {
		t.Errorf("%+v", c)
	}
}

func TestParseSize(t *testing.T) {
	good := map[string]Size{"0": 0, "1GB": 1 << 30, "1.5 gb": 3 << 29, "500kB": 500 << 10, "1048576": 1 << 20, "2TB": 2 << 40, "7b": 7}
	for text, want := range good {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "GB", "1XB", "NaN", "1e40GB", "۱GB", "1 G B"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
	for size, want := range map[Size]string{0: "0", 1 << 30: "1GB", 3 << 29: "1.5GB", 500 << 10: "500kB", 7: "7"} {
		if size.String() != want {
			t.Errorf("%d prints %q, want %q", int64(size), size.String(), want)
		}
	}
}
