public import PumiceModel

extension KernelISCSIConnector: DeviceConnector {
  /// A session or record counts as this node's when both its interface and its initiator name are of our making: another
  /// agent of the same machine has other initiator names.
  public func leftovers(
    unless isWanted: @Sendable (AttachmentID) -> Bool
  ) async throws(StorageError) -> [Inventory.Leftover] {
    let first = try await lookForLeftovers().findings(unless: isWanted)
    if first.isEmpty { return [] }
    // A connection that was just being made or ended when the first look was taken looks different now.
    let second = Set(try await lookForLeftovers().findings(unless: isWanted))
    return first.filter { second.contains($0) }
  }

  private func lookForLeftovers() async throws(StorageError) -> Remains {
    let (places, initiator) = (places, description.initiator)
    return try await BlockingCalls.run { () throws(StorageError) in
      let entries = places.database.entries()
      return Remains(
        initiator: initiator, view: KernelView(reading: places.sysfs),
        records: Dictionary(
          entries.map { ($0, places.database.initiator(of: $0) ?? "") }, uniquingKeysWith: { first, _ in first }),
        joined: Set(entries.filter { places.database.hasBrothers($0) }.map(\.attachment)), links: places.links.all())
    }
  }
}

/// Everything that a connector could have left behind: kernel, node records and links as they were at one time.
struct Remains: Sendable, Equatable {
  /// The first part of this node's initiator names.
  var initiator: String
  var view: KernelView
  /// With the initiator name in each.
  var records: [NodeDatabase.Entry: String] = [:]
  /// Attachments whose paths are meant to be joined, however many there are now.
  var joined: Set<AttachmentID> = []
  var links: [AttachmentID: String] = [:]

  func findings(unless isWanted: (AttachmentID) -> Bool) -> [Inventory.Leftover] {
    sessionFindings(isWanted) + recordFindings(isWanted) + diskFindings() + mapFindings()
  }

  private func isOurs(_ initiator: String, _ attachment: AttachmentID) -> Bool {
    initiator.lowercased() == "\(self.initiator):\(attachment)".lowercased()
  }

  private func sessionFindings(_ isWanted: (AttachmentID) -> Bool) -> [Inventory.Leftover] {
    view.sessions.compactMap { session in
      guard let attachment = session.attachment, isOurs(session.initiator, attachment), !isWanted(attachment) else {
        return nil
      }
      let portal = session.portal.map { " at \($0)" } ?? ""
      return Inventory.Leftover(
        kind: .leakedSession, attachment: attachment, name: session.name,
        detail:
          "This node is logged in to \(session.target)\(portal) (\(session.state)) for an attachment that it has no "
          + "record of\(session.disks.isEmpty ? "" : "; the disk is \(session.disks.map(\.name).joined(separator: ", "))")."
      )
    }
  }

  private func recordFindings(_ isWanted: (AttachmentID) -> Bool) -> [Inventory.Leftover] {
    let loggedIn = Set(view.sessions.compactMap(\.attachment))
    return records.sorted { $0.key.path < $1.key.path }.compactMap { entry, initiator in
      let attachment = entry.attachment
      guard isOurs(initiator, attachment), !isWanted(attachment), !loggedIn.contains(attachment) else { return nil }
      return Inventory.Leftover(
        kind: .leakedRecord, attachment: attachment, name: entry.path,
        detail: "open-iscsi has a node record of \(entry.target) for an attachment that this node has no record of.")
    }
  }

  private func diskFindings() -> [Inventory.Leftover] {
    let sessions = Dictionary(view.sessions.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
    return view.disks.flatMap { disk -> [Inventory.Leftover] in
      guard let number = disk.session else { return [] }
      guard let session = sessions[number] else {
        // Whose it was, only its serial tells: a volume's id.
        guard let volume = disk.serial.flatMap({ VolumeID($0) }) else { return [] }
        return [
          Inventory.Leftover(
            kind: .zombieDisk, attachment: nil, name: disk.name,
            detail: "\(disk.name) is a disk of volume \(volume), and the session that it came with is gone.")
        ]
      }
      guard let attachment = session.attachment else { return [] }
      var findings: [Inventory.Leftover] = []
      if let unit = session.units.first(where: { $0.disk?.name == disk.name }), unit.state.hasSuffix("offline") {
        findings.append(
          Inventory.Leftover(
            kind: .zombieDisk, attachment: attachment, name: disk.name,
            detail: "\(disk.name), a disk of \(session.target), is \(unit.state): the kernel has given it up."))
      }
      if !joined.contains(attachment), let map = view.multipathMap(over: disk) {
        findings.append(
          Inventory.Leftover(
            kind: .seizedDisk, attachment: attachment, name: disk.name,
            detail:
              "multipathd has taken \(disk.name), a disk of \(session.target) with one path, for its map \(map.label)."
          ))
      }
      return findings
    }
  }

  /// Maps that a link of ours leads to, and that have no path any more.
  private func mapFindings() -> [Inventory.Leftover] {
    view.maps.compactMap { map in
      guard map.isMultipath, map.parts.isEmpty,
        let attachment = links.first(where: { $0.value.hasSuffix("/\(map.name)") })?.key
      else { return nil }
      return Inventory.Leftover(
        kind: .zombieDisk, attachment: attachment, name: map.name,
        detail: "The multipath map \(map.label) of an attachment has no path any more.")
    }
  }
}
