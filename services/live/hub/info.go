package hub

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// Info is what the decoder configurations of a stream say.
type Info struct {
	VideoCodec   string // "h264", or empty without video
	VideoProfile string
	Width        int    // pixels
	Height       int    // pixels
	AudioCodec   string // "aac", or empty without audio
	SampleRate   int    // Hz
	Channels     int
}

// readVideo takes an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 5.3.3.1) in an FLV payload.
func (i *Info) readVideo(payload []byte) error {
	record := payload[videoHeaderSize:]
	if len(record) < 8 || record[0] != 1 || record[5]&0x1f == 0 {
		return fmt.Errorf("%w: AVC configuration", ErrMalformed)
	}
	size := int(record[6])<<8 | int(record[7])
	if len(record) < 8+size {
		return fmt.Errorf("%w: AVC configuration is cut short", ErrMalformed)
	}
	i.VideoCodec, i.VideoProfile, i.Width, i.Height = "h264", profileName(record[1]), 0, 0
	// A picture that decoders can show is not refused because its parameters are unusual: only its size stays unknown.
	var sps h264.SPS
	if err := sps.Unmarshal(record[8 : 8+size]); err == nil {
		i.Width, i.Height = sps.Width(), sps.Height()
	}
	return nil
}

// readAudio takes an AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1) in an FLV payload.
func (i *Info) readAudio(payload []byte) error {
	var config mpeg4audio.AudioSpecificConfig
	if err := config.Unmarshal(payload[audioHeaderSize:]); err != nil {
		return fmt.Errorf("%w: AAC configuration: %w", ErrMalformed, err)
	}
	if config.SampleRate <= 0 {
		return errors.Join(ErrMalformed, errors.New("AAC configuration names no sample rate"))
	}
	i.AudioCodec, i.SampleRate, i.Channels = "aac", config.SampleRate, config.ChannelCount
	return nil
}

// profileName names profile_idc values (ITU-T H.264, annex A.2).
func profileName(idc uint8) string {
	switch idc {
	case 66:
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		return "High"
	case 110:
		return "High 10"
	case 122:
		return "High 4:2:2"
	case 244:
		return "High 4:4:4"
	}
	return fmt.Sprintf("profile %d", idc)
}
