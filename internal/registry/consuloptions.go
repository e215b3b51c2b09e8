package registry

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const defaultPrefix = "stoa-"

var (
	prefixPattern     = regexp.MustCompile(`^[a-z0-9-]{0,64}$`)
	datacenterPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	hostPattern       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$`)
)

// consulOptions are what a consul: URL says.
type consulOptions struct {
	address    string // host:port of an agent
	tls        bool
	token      string
	datacenter string
	prefix     string
	weight     int
}

// parseConsul reads the URL. Its errors do not show values of tokens.
func parseConsul(u *url.URL) (consulOptions, error) {
	o := consulOptions{prefix: defaultPrefix, weight: 1}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.Fragment != "" || u.Opaque != "" || !isHost(u.Hostname()) {
		return o, errors.New("want consul://host:port?options, and nothing before the host or after the port")
	}
	port := u.Port()
	if port == "" {
		port = "8500"
	}
	if _, err := parsePort(port); err != nil {
		return o, err
	}
	o.address = net.JoinHostPort(u.Hostname(), port)
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, errors.New("options are malformed")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) { // the same defect each time
		values := query[name]
		if len(values) != 1 {
			return o, fmt.Errorf("option %s is given %d times", name, len(values))
		}
		value := values[0]
		switch name {
		case "token":
			o.token = value
		case "tokenFile":
			content, err := os.ReadFile(value)
			if err != nil {
				return o, fmt.Errorf("read tokenFile: %w", err)
			}
			if o.token = strings.TrimSpace(string(content)); o.token == "" {
				return o, fmt.Errorf("tokenFile %s is empty", value)
			}
		case "datacenter":
			if !datacenterPattern.MatchString(value) {
				return o, fmt.Errorf("datacenter %q is no name", value)
			}
			o.datacenter = value
		case "prefix":
			if !prefixPattern.MatchString(value) {
				return o, fmt.Errorf("prefix %q must have at most 64 of a-z, 0-9 and -", value)
			}
			o.prefix = value
		case "tls":
			if o.tls, err = strconv.ParseBool(value); err != nil {
				return o, fmt.Errorf("tls is %q, want true or false", value)
			}
		case "weight":
			if o.weight, err = parseWeight(value); err != nil {
				return o, err
			}
		default:
			return o, fmt.Errorf("unknown option %q, want token, tokenFile, datacenter, prefix, tls or weight", name)
		}
	}
	if query.Has("token") && query.Has("tokenFile") {
		return o, errors.New("token and tokenFile exclude each other")
	}
	if query.Has("token") && (o.token == "" || strings.ContainsFunc(o.token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		return o, errors.New("token is empty or has characters that no token has")
	}
	return o, nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("port %q is not from 1 to 65535", text)
	}
	return port, nil
}

func parseWeight(text string) (int, error) {
	weight, err := strconv.Atoi(text)
	if err != nil || weight < 1 || weight > 100 {
		return 0, fmt.Errorf("weight %q is not from 1 to 100", text)
	}
	return weight, nil
}

// isHost reports whether text is a name or an address of a machine.
func isHost(text string) bool { return net.ParseIP(text) != nil || hostPattern.MatchString(text) }
