type PhoneVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void }

/** Shows a frame in full screen, or leaves it. An iPhone shows the video element itself only, by a call of its own. */
export async function toggleFullScreen(frame: HTMLElement, video: HTMLVideoElement): Promise<void> {
  try {
    if (document.fullscreenElement) await document.exitFullscreen()
    else if (document.fullscreenEnabled) await frame.requestFullscreen()
    else (video as PhoneVideo).webkitEnterFullscreen?.()
  } catch {
    // The browser refused; the picture stays where it is.
  }
}
