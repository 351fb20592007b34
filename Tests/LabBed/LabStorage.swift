public import TestBed

/// How a storage node of the lab stores and exports volumes.
public struct LabStorage: Sendable, CustomStringConvertible {
  public let description: String
  /// Its disks, in mebibytes.
  public let disks: [Int]
  /// What is run on the node after each boot, before its agent starts; harmless when repeated.
  public let preparation: String
  /// The lines of its agent's configuration file that say so. The node's address goes in.
  public let drivers: @Sendable (String) -> String
  /// A script that prints what there is of volumes and exports, and nothing when there is nothing.
  public let leftovers: String

  public init(
    _ description: String, disks: [Int], preparation: String, leftovers: String,
    drivers: @escaping @Sendable (String) -> String
  ) {
    self.description = description
    self.disks = disks
    self.preparation = preparation
    self.leftovers = leftovers
    self.drivers = drivers
  }

  /// The lab's storage node, as this says.
  public func machine(
    in lab: Lab, coordinator: CoordinatorDaemon, reportInterval: Int = 1
  ) throws -> LabMachine {
    let node = try lab.node("storage", number: 11, disks: disks)
    return try LabMachine(
      node, coordinator: coordinator, of: lab, reportInterval: reportInterval, preparation: preparation,
      drivers: drivers(node.address))
  }

  /// Throws, with what there is, when it takes more than three minutes.
  public func waitUntilNothingIsLeft(on node: LabNode) async throws {
    try await eventually("nothing is left on \(node.name)", within: .seconds(180), every: .milliseconds(500)) {
      let left = try await node.run(leftovers)
      guard left.isEmpty else { throw TestBedFailure("There is \(left)") }
      return true
    }
  }

  /// Files on ext4, exported by a tgtd that the agent starts.
  public static let filesOverTGT = LabStorage(
    "files over tgt", disks: [8192],
    preparation: """
      set -e
      blkid /dev/ubdb >/dev/null || mkfs.ext4 -q /dev/ubdb
      mkdir -p /srv/volumes
      mountpoint -q /srv/volumes || mount /dev/ubdb /srv/volumes
      chmod 700 /srv/volumes
      """,
    leftovers: """
      ls /srv/volumes | grep -v lost+found
      tgtadm --lld iscsi --op show --mode target | grep Target
      true
      """
  ) { address in
    """
    backends:
      - name: files
        kind: directory
        path: /srv/volumes
    exporter:
      kind: tgt
      portals: ["\(address):3260"]
    """
  }

  /// Logical volumes in a thin pool, exported by the kernel.
  public static let thinLVMOverLIO = lvmOverLIO("thin")
  /// The same with room for hundreds of volumes, as far as thin ones may promise more than there is; and one disk more.
  public static let largeThinLVMOverLIO = lvmOverLIO("thin", disks: [65536, 65536])
  /// Logical volumes of whole extents, exported by the kernel.
  public static let thickLVMOverLIO = lvmOverLIO("thick")

  private static func lvmOverLIO(_ provisioning: String, disks: [Int] = [16384]) -> LabStorage {
    LabStorage(
      "\(provisioning) LVM over LIO", disks: disks,
      preparation: "vgs data >/dev/null 2>&1 || vgcreate data /dev/ubdb",
      leftovers: """
        set -e
        lvs --noheadings --options lv_name --select 'lv_tags=pumice' data
        ls -d /sys/kernel/config/target/iscsi/iqn* 2>/dev/null || true
        """
    ) { address in
      """
      backends:
        - name: lvm
          kind: lvm
          volume_group: data
          provisioning: \(provisioning)
      exporter:
        kind: lio
        portals: ["\(address):3260"]
      """
    }
  }
}
