package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Process reads what the operating system says of this process, as the metrics page does.
type Process struct {
	registry *prometheus.Registry
}

// NewProcess returns a reader.
func NewProcess() *Process {
	p := &Process{registry: prometheus.NewRegistry()}
	p.registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return p
}

// Usage returns the processor time that the process has used since its start, in seconds, and its resident memory, in
// bytes. They are 0 where the operating system does not tell.
func (p *Process) Usage() (cpuSeconds float64, residentBytes int64) {
	families, _ := p.registry.Gather() // what could be read is returned beside the error
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch family.GetName() {
			case "process_cpu_seconds_total":
				cpuSeconds = metric.GetCounter().GetValue()
			case "process_resident_memory_bytes":
				residentBytes = int64(metric.GetGauge().GetValue())
			}
		}
	}
	return cpuSeconds, residentBytes
}
