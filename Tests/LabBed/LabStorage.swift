/// How a storage node of the lab stores and exports volumes.
public struct LabStorage: Sendable {
  /// Its disks, in mebibytes.
  public let disks: [Int]
  /// What is run on the node after each boot, before its agent starts; harmless when repeated.
  let preparation: String
  /// The lines of its agent's configuration file that say so. The node's address goes in.
  let drivers: @Sendable (String) -> String
  /// A script that prints what there is of volumes and exports, and nothing when there is nothing.
  let leftovers: String

  public init(
    disks: [Int], preparation: String, leftovers: String, drivers: @escaping @Sendable (String) -> String
  ) {
    self.disks = disks
    self.preparation = preparation
    self.leftovers = leftovers
    self.drivers = drivers
  }

  /// Files on ext4, exported by a tgtd that the agent starts.
  public static let filesOverTGT = LabStorage(
    disks: [8192],
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
}
