package models

import "testing"

func TestParseSource(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", " 2001:DB8::7 ": "2001:db8::7", "::ffff:192.0.2.7": "192.0.2.7", "10.0.0.7": "10.0.0.7", "127.0.0.2": "127.0.0.2",
		"": "", "mail.example.com": "", "192.0.2.7/24": "", "192.0.2.7:25": "", "192.0.2.07": "", "0.0.0.0": "", "::": "", "::ffff:0.0.0.0": "",
		"224.0.0.1": "", "ff02::1": "", "255.255.255.255": "", "169.254.1.1": "", "fe80::1": "", "2001:db8::7%eth0": "", "[2001:db8::7]": "",
	} {
		ip, err := ParseSource(text)
		switch {
		case want == "" && (!Is(err, Invalid) || ip.IsValid()):
			t.Errorf("%q is %v, %v", text, ip, err)
		case want != "" && (err != nil || ip.String() != want):
			t.Errorf("%q is %v, %v; want %s", text, ip, err, want)
		}
	}
}
