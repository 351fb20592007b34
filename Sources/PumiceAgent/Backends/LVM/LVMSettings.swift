/// How every LVM command is run, whatever the node's lvm.conf says (lvm.conf(5), `lvmconfig --typeconfig default --withcomments`).
enum LVMSettings {
  /// The value of `--config`.
  ///
  /// - Parameter devices: The physical volumes of the group; `nil` to look at whatever lvm.conf lets LVM see. With them,
  ///   LVM opens no other device: neither guests' disks, nor ones that hang.
  static func text(devices: [String]?) -> String {
    var sections = [
      """
      devices { hints="none" obtain_device_list_from_udev=0 ignore_suspended_devices=1 disable_after_error_count=3 \
      scan_lvs=0\(devices.map { " use_devicesfile=0 filter=[\(filter($0))]" } ?? "") }
      """,
      // Readers queue behind a waiting writer; merges are watched by the agent.
      "global { wait_for_locks=1 prioritise_write_locks=1 use_lvmpolld=0 notify_dbus=0 }",
      // One archive file for each change fills a disk in time.
      "backup { retain_min=50 retain_days=0 }",
      // The agent extends pools and snapshots itself. dmeventd would do it by another configuration.
      """
      activation { retry_deactivation=1 monitoring=0 thin_pool_autoextend_threshold=100 \
      snapshot_autoextend_threshold=100 auto_set_activation_skip=0 }
      """,
    ]
    sections.append("log { verbose=0 level=0 silent=0 prefix=\"\" indent=0 command_names=0 }")
    return sections.joined(separator: " ")
  }

  /// LVM complains about each descriptor that it inherits, on standard error; ours are closed on exec.
  static let environment = ["LVM_SUPPRESS_FD_WARNINGS": "1"]

  private static func filter(_ devices: [String]) -> String {
    (devices.map { "\"a|^\(pattern($0))$|\"" } + ["\"r|.*|\""]).joined(separator: ", ")
  }

  /// A regular expression for one path: what could have a meaning there matches as any character.
  private static func pattern(_ path: String) -> String {
    String(path.map { $0.isASCII && ($0.isLetter || $0.isNumber || "/_-".contains($0)) ? $0 : "." })
  }
}
