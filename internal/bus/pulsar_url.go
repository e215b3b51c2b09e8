package bus

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

	"github.com/apache/pulsar-client-go/pulsar"
)

const (
	defaultPartitions = 4
	maxPartitions     = 64
	defaultReceived   = 500
)

// pulsarURL is where and how Pulsar is reached:
//
//	pulsar://host:6650,host2:6650/tenant/namespace   brokers, or proxies; pulsar+ssl:// by TLS
//	?partitions=4     into how many Pulsar topics a topic is divided. All processes must have the same number, for ever: with
//	                  another one keys are somewhere else, and lose their order at the change
//	?prefix=a-        is put before the name of each Pulsar topic
//	?queue=500        how many events each partition of a subscription fetches ahead
//	?token=… ?tokenFile=/run/secrets/pulsar          a token; a file is read at each connection
//	?ca=/etc/ca.pem   certificates that sign the brokers' instead of the system's
type pulsarURL struct {
	service    string // for the client
	namespace  string // tenant/namespace
	topics     string // what stands before a topic's name, prefix and all
	partitions int
	queue      int
	ca         string
	auth       pulsar.Authentication // nil without one
}

var (
	nameOfNamespace = regexp.MustCompile(`^[A-Za-z0-9_=:.-]+$`)
	nameOfPrefix    = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,64}$`)
)

// parsePulsarURL reads an address. net/url knows no lists of hosts, and its errors show what it was given, token and all.
func parsePulsarURL(rawURL string) (*pulsarURL, error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return nil, errors.New("pulsar: want pulsar://host:6650/tenant/namespace")
	}
	hosts, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(hosts, "/")
	service, err := pulsarHosts(scheme, hosts)
	if err != nil {
		return nil, fmt.Errorf("pulsar: %w", err)
	}
	tenant, namespace, ok := strings.Cut(path, "/")
	if !ok || !nameOfNamespace.MatchString(tenant) || !nameOfNamespace.MatchString(namespace) {
		return nil, errors.New("pulsar: the path has to be /tenant/namespace")
	}
	p := &pulsarURL{service: service, namespace: path, partitions: defaultPartitions, queue: defaultReceived}
	options, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("pulsar: malformed options")
	}
	var prefix string
	for _, name := range slices.Sorted(maps.Keys(options)) { // the same defect each time
		value := options[name][len(options[name])-1]
		switch name {
		case "partitions":
			p.partitions, err = number(name, value, 1, maxPartitions)
		case "queue":
			p.queue, err = number(name, value, 1, 100_000)
		case "prefix":
			if prefix = value; !nameOfPrefix.MatchString(prefix) {
				err = fmt.Errorf("prefix=%s: want at most 64 letters, digits, dots, - and _", value)
			}
		case "token", "tokenFile":
			if p.auth != nil {
				return nil, errors.New("pulsar: two tokens")
			}
			p.auth, err = pulsarToken(name, value)
		case "ca":
			if p.ca = value; scheme != "pulsar+ssl" {
				err = errors.New("ca is for pulsar+ssl:// only")
			} else if _, problem := os.Stat(value); problem != nil {
				err = fmt.Errorf("ca: %w", problem)
			}
		default:
			err = fmt.Errorf("unknown option %q", name)
		}
		if err != nil {
			return nil, fmt.Errorf("pulsar: %w", err)
		}
	}
	p.topics = "persistent://" + path + "/" + prefix
	return p, nil
}

// pulsarHosts checks a list of hosts and gives each a port.
func pulsarHosts(scheme, list string) (string, error) {
	port := "6650"
	if scheme == "pulsar+ssl" {
		port = "6651"
	}
	if strings.Contains(list, "@") {
		return "", errors.New("a user or password in the address; use token or tokenFile")
	}
	hosts := strings.Split(list, ",")
	for i, host := range hosts {
		name, given, err := net.SplitHostPort(host)
		if err != nil {
			name, given = strings.Trim(host, "[]"), port
		}
		if n, err := strconv.Atoi(given); err != nil || n < 1 || n > 65535 || name == "" || strings.ContainsAny(name, " /[]") {
			return "", fmt.Errorf("malformed host %q", host)
		}
		hosts[i] = net.JoinHostPort(name, given)
	}
	return scheme + "://" + strings.Join(hosts, ","), nil
}

func pulsarToken(option, value string) (pulsar.Authentication, error) {
	if option == "tokenFile" {
		if _, err := os.ReadFile(value); err != nil { //nolint:gosec // the operator's own file
			return nil, fmt.Errorf("tokenFile: %w", err)
		}
		return pulsar.NewAuthenticationTokenFromFile(value), nil
	}
	if value == "" {
		return nil, errors.New("token is empty")
	}
	return pulsar.NewAuthenticationToken(value), nil
}

func number(name, value string, from, to int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < from || n > to {
		return 0, fmt.Errorf("%s=%s: want %d to %d", name, value, from, to)
	}
	return n, nil
}
