package models

import (
	"errors"
	"fmt"
	"testing"
)

func TestErrorsFindsEachFieldOfAForm(t *testing.T) {
	name := Errorf(Invalid, "name.empty", "Name is missing.").On("name")
	quota := Errorf(Full, "limit.storage", "No space left.").On("quota").With("n", 3)
	err := fmt.Errorf("add: %w", errors.Join(name, fmt.Errorf("x: %w", quota)))
	all := Errors(err)
	if len(all) != 2 || all[0].Field != "name" || all[1].Args["n"] != 3 {
		t.Fatalf("%v", all)
	}
	if KindOf(err) != Invalid || !Is(err, Invalid) || Is(errors.New("x"), Internal) {
		t.Fatal("kinds")
	}
	if KindOf(errors.New("x")) != Internal {
		t.Fatal("an error nobody named is Internal")
	}
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	a := Errorf(Full, "k", "m").With("a", 1)
	b := a.With("b", 2)
	if len(a.Args) != 1 || len(b.Args) != 2 {
		t.Fatal(a.Args, b.Args)
	}
}
