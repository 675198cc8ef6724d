package models

import (
	"strings"
	"testing"
)

func TestValidateLocal(t *testing.T) {
	tests := []struct{ local, key string }{
		{"sara", ""}, {"sara.azadi", ""}, {"sara-2", ""}, {"s_a", ""}, {"7", ""}, {"_x", ""},
		{"info", ""}, {"admin", ""}, {"support", ""}, {"root", ""}, {"webmaster", ""},
		{"postmaster", "mailbox.reserved"}, {"abuse", "mailbox.reserved"}, {"mailer-daemon", "mailbox.reserved"},
		{"sara+x", "mailbox.tag"},
		{"", "mailbox.local"}, {".sara", "mailbox.local"}, {"sara.", "mailbox.local"}, {"sa..ra", "mailbox.local"},
		{"-sara", "mailbox.local"}, {"sara-", "mailbox.local"}, {"sa ra", "mailbox.local"}, {"sa%ra", "mailbox.local"},
		{"sa!ra", "mailbox.local"}, {"sa/ra", "mailbox.local"}, {"sa\"ra", "mailbox.local"}, {"a@b", "mailbox.local"},
	}
	for _, tt := range tests {
		err := ValidateLocal(tt.local)
		key := ""
		if err != nil {
			key = Errors(err)[0].Key
		}
		if key != tt.key {
			t.Errorf("%q: %q, want %q", tt.local, key, tt.key)
		}
	}
}

func TestLineRefusesWhatCouldDeceive(t *testing.T) {
	for _, good := range []string{"", "Sara", "سارا آزادی", "می\u200cنویسم", "O'Brien & Söhne", strings.Repeat("س", 255)} {
		if err := Line("name", good, MaxName); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"a\nb", "a\rb", "a\x00b", "a\x1b[31m", "a\u2028b", "a\u202eb", "a\u2066b", "\xff", strings.Repeat("a", 256)} {
		if err := Line("name", bad, MaxName); !Is(err, Invalid) || Errors(err)[0].Field != "name" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestValidateNamesEachField(t *testing.T) {
	c := &Customer{Name: "  ", ExternalID: "a\nb", MaxDomains: -1, MaxStorage: MaxQuota + 1}
	var fields []string
	for _, e := range Errors(c.Validate()) {
		fields = append(fields, e.Field)
	}
	if got := strings.Join(fields, " "); got != "name external_id domains storage" {
		t.Error(got)
	}
	id := ID(1)
	for _, u := range []User{{Role: "reseller"}, {Role: RoleAdmin, CustomerID: &id}, {Role: RoleCustomer}, {Role: RoleAdmin, Language: "de"}} {
		if u.Validate() == nil {
			t.Errorf("%+v passed", u)
		}
	}
	if err := (&User{Role: RoleCustomer, CustomerID: &id, Language: "fa"}).Validate(); err != nil {
		t.Error(err)
	}
	if (&Mailbox{QuotaBytes: -1}).Validate() == nil || (&Mailbox{QuotaBytes: 1 << 40}).Validate() != nil {
		t.Error("mailbox")
	}
}

func TestFold(t *testing.T) {
	same := [][2]string{
		{"Sara", "sara"}, {"علي", "علی"}, {"كتاب", "کتاب"}, {"می\u200cنویسم", "مینویسم"}, {"۱۲٣", "123"},
		{"Ｓａｒａ", "sara"}, {"Söhne", "sohne"}, {"مُحَمَّد", "محمد"},
	}
	for _, s := range same {
		if Fold(s[0]) != Fold(s[1]) {
			t.Errorf("%q folds to %q, %q to %q", s[0], Fold(s[0]), s[1], Fold(s[1]))
		}
	}
}

func TestClip(t *testing.T) {
	for _, tt := range [][2]string{{"abc", "abc"}, {"abcdef", "abcd"}, {"سلامت", "سلام"}, {"a\x00b", "a\uFFFDb"}, {"a\xffb", "a\uFFFDb"}, {"سلام", "سلام"}} {
		if got := Clip(tt[0], 4); got != tt[1] {
			t.Errorf("%q: %q", tt[0], got)
		}
	}
}

func TestScope(t *testing.T) {
	if (Scope{}).Sees(0) || (Scope{}).Sees(1) || OfCustomer(0).Sees(0) || OfCustomer(1).Sees(2) {
		t.Error("sees too much")
	}
	if !Everything().Sees(1) || !OfCustomer(1).Sees(1) {
		t.Error("sees too little")
	}
}

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		q            Query
		size, offset int
	}{{Query{}, 50, 0}, {Query{Page: 3, Size: 20}, 20, 40}, {Query{Page: -1, Size: 9999}, 500, 0}} {
		if size, offset := tt.q.Window(); size != tt.size || offset != tt.offset {
			t.Errorf("%+v: %d %d", tt.q, size, offset)
		}
	}
	if p := NewPage[int](Query{Size: 10}, nil, 21); p.Pages != 3 || p.Page != 1 {
		t.Error(p)
	}
}
