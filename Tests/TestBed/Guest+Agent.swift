extension Guest {
  /// Starts the QEMU guest agent, which is not there after a boot. libvirt sees it some moments later.
  public func startAgent() async throws {
    try await run(
      """
      set -e
      port=$(grep -l -x org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name)
      qemu-ga --daemonize --method=virtio-serial --path="/dev/$(basename "$(dirname "$port")")" --statedir=/run \\
        --pidfile=/run/qemu-ga.pid --logfile=/tmp/qemu-ga.log
      """)
  }

  /// Kills it, whatever it is at.
  public func killAgent() async throws {
    try await run("kill -9 $(cat /run/qemu-ga.pid)")
  }

  /// Makes a file system on the disk and mounts it at this folder.
  public func mount(_ disk: Disk, at folder: String) async throws {
    try await run(
      "mkdir -p \(folder) && mke2fs -q /dev/\(disk.name) >/dev/null && mount -t ext4 /dev/\(disk.name) \(folder)")
  }

  /// Whether a write to a file system hangs, as it does while that is frozen. The write is done when it goes on.
  public func isFrozen(_ folder: String) async throws -> Bool {
    let answer = try await run(
      """
      rm -f /tmp/written
      (date >>\(folder)/log && sync \(folder)/log && touch /tmp/written) >/dev/null 2>&1 &
      for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /tmp/written ] && break; sleep 0.2; done
      [ -e /tmp/written ] && echo written || echo hangs
      """)
    return answer.contains("hangs")
  }
}
