package certs

import (
	"os"
	"path/filepath"
)

// create writes a file that must not exist yet, whole or not at all: fs.ErrExist if it does.
func create(name string, data []byte, mode os.FileMode) error {
	temp, err := write(name, data, mode)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	return os.Link(temp, name) // unlike a rename, never over another file
}

// replace writes a file whole, in place of an old one if there is one.
func replace(name string, data []byte, mode os.FileMode) error {
	temp, err := write(name, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		os.Remove(temp)
		return err
	}
	return nil
}

// write writes a synced file beside name.
func write(name string, data []byte, mode os.FileMode) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-") // with mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
