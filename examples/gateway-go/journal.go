package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// A journal is a file of lines that is only ever added to. What it has taken survives the death of the process, and of the machine.
type journal struct{ file *os.File }

// openJournal gives each line of a file to read, in their order, and keeps the file from any other process for as long as this one lives.
// A last line without its end is one that nobody was told of: it is cut off.
func openJournal(path string, read func(line []byte) error) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another process has %s: end that one, or name another file", path)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	if err := file.Truncate(int64(whole)); err != nil {
		return nil, err
	}
	number := 0
	for line := range bytes.Lines(text[:whole]) {
		number++
		if err := read(line); err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", number, path, err)
		}
	}
	return &journal{file}, syncFolder(path)
}

// syncFolder has the name of a new file survive, too.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// add returns when the lines are on the disk. After an error only a new start knows which of them are.
func (j *journal) add(lines []byte) error {
	if _, err := j.file.Write(lines); err != nil {
		return err
	}
	return j.file.Sync()
}
