package parts

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pulsarVersion and consulVersion are those that scripts/parts.sh has in the cache.
const (
	pulsarVersion = "4.0.7"
	consulVersion = "1.22.0"
)

// pulsar is one broker with a bookie and its metadata, which is what "standalone" is.
func pulsar() part {
	admin := "" // of the one that this is
	return part{name: "pulsar", ready: func(ctx context.Context, _ string) error {
		return answers(ctx, "http://127.0.0.1:"+admin+"/admin/v2/persistent/public/default", "[")
	}, start: func(folder string) (*exec.Cmd, string, error) {
		java, err := program("java", byScript)
		if err != nil {
			return nil, "", err
		}
		jars := filepath.Join(cache(), "pulsar-"+pulsarVersion)
		if _, err := os.Stat(filepath.Join(jars, ".complete")); err != nil {
			return nil, "", fmt.Errorf("pulsar is not installed: %s", byScript)
		}
		ports, err := freePorts(4)
		if err != nil {
			return nil, "", err
		}
		admin = ports[1]
		config := filepath.Join(folder, "standalone.conf")
		lines := append([]string{
			"clusterName=standalone", "advertisedAddress=127.0.0.1", "bindAddress=127.0.0.1",
			"brokerServicePort=" + ports[0], "webServicePort=" + ports[1],
			"managedLedgerDefaultEnsembleSize=1", "managedLedgerDefaultWriteQuorum=1", "managedLedgerDefaultAckQuorum=1",
			"bookkeeperMetadataServiceUri=", "allowAutoTopicCreation=true", "allowAutoTopicCreationType=non-partitioned",
			"brokerDeleteInactiveTopicsEnabled=false", "acknowledgmentAtBatchIndexLevelEnabled=true",
			"subscriptionKeySharedUseConsistentHashing=true", "httpServerEnabled=false", "bookiePort=" + ports[2],
			"prometheusStatsHttpPort=" + ports[3], "journalSyncData=true", "diskUsageThreshold=0.99", "diskUsageWarnThreshold=0.98",
		}, "")
		if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")), 0o644); err != nil { //nolint:gosec // no secret
			return nil, "", err
		}
		args := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
		for _, opened := range []string{"java.lang", "java.util.zip", "sun.net", "java.io", "sun.security.jca", "jdk.internal.platform"} {
			args = append(args, "--add-opens", "java.base/"+opened+"=ALL-UNNAMED")
		}
		args = append(args, "-cp", filepath.Join(jars, "*"), "org.apache.pulsar.PulsarStandaloneStarter", "--config", config,
			"--bookkeeper-dir", filepath.Join(folder, "bookkeeper"), "--metadata-dir", filepath.Join(folder, "metadata"),
			"--no-functions-worker", "--no-stream-storage")
		run := exec.Command(java, args...)
		run.Dir = folder
		return run, fmt.Sprintf("pulsar://127.0.0.1:%s/public/default", ports[0]), nil
	}}
}

func consul() part {
	return part{name: "consul", ready: func(ctx context.Context, rawURL string) error {
		u, err := url.Parse(rawURL)
		if err != nil {
			return err
		}
		return answers(ctx, "http://"+u.Host+"/v1/status/leader", ":")
	}, start: func(folder string) (*exec.Cmd, string, error) {
		server, err := program("consul-"+consulVersion, byScript, filepath.Join(cache(), "bin"))
		if err != nil {
			return nil, "", err
		}
		ports, err := freePorts(3)
		if err != nil {
			return nil, "", err
		}
		run := exec.Command(server, "agent", "-dev", "-bind", "127.0.0.1", "-client", "127.0.0.1", "-http-port", ports[0],
			"-server-port", ports[1], "-serf-lan-port", ports[2], "-serf-wan-port", "-1", "-dns-port", "-1", "-grpc-port", "-1",
			"-grpc-tls-port", "-1", "-log-level", "warn")
		run.Dir = folder
		return run, "consul://127.0.0.1:" + ports[0], nil
	}}
}

// answers asks whether a URL is answered with 200 and a body that contains a text.
func answers(ctx context.Context, address, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), text) {
		return fmt.Errorf("it says %d %s", res.StatusCode, body)
	}
	return nil
}
