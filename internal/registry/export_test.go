package registry

import "net/http"

// WithConsulClient lets a test stand in for an agent of Consul.
func WithConsulClient(c *http.Client) Option { return func(s *settings) { s.consul = c } }
