import PumiceModel

extension InventoryComparison {
  /// What connections have left on the node, in the node's own words.
  func leftoverFindings() -> [Finding] {
    (inventory.leftovers ?? []).map { leftover in
      let (kind, remedy): (Finding.Kind, String) =
        switch leftover.kind {
        case .leakedSession: (.leakedSession, "It is ended by itself within minutes, unless its disk is in use.")
        case .leakedRecord: (.leakedRecord, "It is deleted by itself within minutes.")
        case .zombieDisk where leftover.attachment == nil:
          (.zombieDisk, "If nobody uses it, remove it there: echo 1 >/sys/block/\(leftover.name)/device/delete")
        case .zombieDisk:
          (.zombieDisk, "See to the target. If it does not come back, detach the volume: the disk goes with it.")
        case .seizedDisk:
          (
            .seizedDisk,
            "It works, but if that was not meant, keep multipathd off there, by blacklist { device { vendor PUMICE "
              + "product VOLUME } } in multipath.conf, or give it the lines of Config/multipath.conf."
          )
        }
      return Finding(
        kind: kind, node: node, resource: leftover.attachment.map(\.description) ?? leftover.name,
        detail: leftover.detail, remedy: remedy)
    }
  }
}
