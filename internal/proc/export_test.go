package proc

// ParseStat reads a line of /proc/PID/stat.
func ParseStat(s string) (Process, error) { return parseStat(s) }
