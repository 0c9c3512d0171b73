package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// letGoOfProgram has the kernel unmap the pages of the program's own file. Much of a program is touched once, when it starts:
// what packages set up, the types of every API group, the embedded catalog. These pages count as the process's memory, and as
// its container's, until they are needed elsewhere. Those that are needed again come back from the page cache.
func letGoOfProgram() error {
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		// "00400000-02b5c000 r-xp 00000000 08:01 1234    /platformprofile": writable pages hold variables.
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[5] != file || strings.Contains(fields[1], "w") {
			continue
		}
		from, until, _ := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			return fmt.Errorf("/proc/self/maps: %w", err)
		}
		end, err := strconv.ParseUint(until, 16, 64)
		if err != nil {
			return fmt.Errorf("/proc/self/maps: %w", err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}
