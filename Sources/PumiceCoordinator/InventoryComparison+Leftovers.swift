import PumiceModel

extension InventoryComparison {
  /// What connections have left on the node, in the node's own words.
  func leftoverFindings() -> [Finding] {
    (inventory.leftovers ?? []).map { leftover in
      let (kind, remedy): (Finding.Kind, String) =
        switch leftover.kind {
        case .leakedSession: (.leakedSession, "It is ended by itself within minutes, unless its disk is in use.")
        case .leakedRecord: (.leakedRecord, "It is deleted by itself within minutes.")
        case .zombieDisk:
          (.zombieDisk, "Let go of it on the node; if it is attached, see to the target and detach it.")
        case .seizedDisk:
          (.seizedDisk, "It works. If that was not meant, blacklist the disk in the node's multipath.conf.")
        }
      return Finding(
        kind: kind, node: node, resource: leftover.attachment.map(\.description) ?? leftover.name,
        detail: leftover.detail, remedy: remedy)
    }
  }
}
