import Logging
public import PumiceModel

extension KernelISCSIConnector {
  /// Flushes the disk, removes it, logs out and deletes the node records, and sees to it that nothing of that is left.
  ///
  /// It goes by the names of what it made, never by which device looks like the volume. Throws `inUse` while anybody has
  /// the disk open, which then stays as it is.
  public func disconnect(_ attachment: AttachmentID) async throws(StorageError) {
    let before = try await look(for: attachment)
    let targets = Set(
      before.sessions.map { $0.target.lowercased() }
        + (try await entries(of: attachment)).map { $0.target.lowercased() })
    for target in targets.sorted() {
      try await locks.withLock(target) { () async throws(StorageError) in
        let sessions = try await look(for: attachment).sessions.filter { $0.target.lowercased() == target }
        // All at once: each path alone could be spared.
        try await refuseIfUsed(sessions)
        for session in sessions { try await end(session) }
        try await forget(attachment, target)
      }
    }
    for map in before.maps where map.isMultipath { try await seeOff(map) }
    let links = places.links
    try await BlockingCalls.run { () throws(StorageError) in try links.remove(attachment) }
    guard let left = try await look(for: attachment).sessions.first else { return }
    throw StorageError(.unavailable, "\(left.name) with \(left.target) has come back while it was ended.")
  }

  /// Ends the sessions of an attachment that a failed `connect` has made. What can't be undone now is left to
  /// `disconnect`, or to the next `connect`.
  func undo(_ attachment: AttachmentID, besides numbers: [Int]) async {
    do throws(StorageError) {
      for session in try await look(for: attachment).sessions where !numbers.contains(session.number) {
        try await end(session)
      }
      // Also when a session was ended to make room for one that then failed.
      guard try await look(for: attachment).sessions.isEmpty else { return }
      let links = places.links
      try await BlockingCalls.run { () throws(StorageError) in try links.remove(attachment) }
    } catch {
      logger.warning(
        "a login can't be undone yet", metadata: ["attachment.id": "\(attachment)", "error": "\(error)"])
    }
  }

  // MARK: One session

  /// When it returns, the session is gone, and its disks and its node record with it. Inside the target's lock.
  func end(_ session: KernelSession) async throws(StorageError) {
    // The units as they are now: there may be more than there were.
    guard let session = try await self.session(session.number) else { return }
    try await refuseIfUsed([session])
    try await removeLink(to: session)
    if session.isLoggedIn {
      try await takeApart(session)
    } else {
      // Nothing could be written any more, and a device without its target may hold for ever whoever asks it.
      logger.warning(
        "a session that is down is ended without a flush",
        metadata: ["session.number": "\(session.number)", "session.state": "\(session.state)"])
      try await takeOutOfMaps(session)
    }
    try await logOut(session)
    guard let attachment = session.attachment, let portal = session.portal else { return }
    let database = places.database
    try await BlockingCalls.run { () throws(StorageError) in
      for entry in database.entries()
      where entry.attachment == attachment && entry.target.lowercased() == session.target.lowercased()
        && entry.portal.hasPrefix("\(portal.host),\(portal.port),")
      {
        try database.remove(entry)
      }
    }
  }

  private func forget(_ attachment: AttachmentID, _ target: String) async throws(StorageError) {
    let database = places.database
    try await BlockingCalls.run { () throws(StorageError) in
      for entry in database.entries() where entry.attachment == attachment && entry.target.lowercased() == target {
        try database.remove(entry)
      }
      try database.withdrawInterface(of: attachment)
    }
  }

  /// Others may look at a new device for a moment; who still has it open after that uses it.
  func refuseIfUsed(_ sessions: [KernelSession]) async throws(StorageError) {
    guard let first = sessions.first(where: { !$0.disks.isEmpty }) else { return }
    var users = ""
    let isFree = try await wait(.seconds(5)) { () throws(StorageError) in
      users = try await self.users(of: sessions)
      return users.isEmpty ? true : nil
    }
    guard isFree == nil else { return }
    throw StorageError(
      .inUse, "\(first.name) with \(first.target) can't be ended: its disk is in use by \(users).")
  }

  /// Who uses the sessions' disks, in words; empty when nobody does, or when other paths are left to whoever does.
  private func users(of sessions: [KernelSession]) async throws(StorageError) -> String {
    var disks: [SCSIDisk] = []
    for session in sessions { disks += try await self.session(session.number)?.disks ?? [] }
    let maps = try await self.maps(named: disks.flatMap(\.holders)).filter(\.isMultipath)
    let mapNames = Set(maps.map(\.name))
    // A path that has a brother in the map can go while the map stays.
    let lonelyMaps = maps.filter { Set($0.parts).isSubset(of: disks.map(\.name)) }
    let partitions = try await self.maps(named: lonelyMaps.flatMap(\.holders)).filter(\.isPartitionOfMultipath)
    let holders = Set(disks.flatMap(\.holders) + lonelyMaps.flatMap(\.holders) + partitions.flatMap(\.holders))
      .subtracting(mapNames).subtracting(partitions.map(\.name))
    if !holders.isEmpty { return holders.sorted().joined(separator: ", ") }
    let claimable =
      disks.filter { disk in mapNames.isDisjoint(with: disk.holders) }.map(\.name)
      + (partitions.isEmpty ? lonelyMaps : partitions).map(\.name)
    let numbers = Set(
      disks.flatMap { [$0.number] + $0.partitions } + (lonelyMaps + partitions).map(\.number))
    let devices = claimable.map(device)
    return try await DeviceCalls.run(within: .seconds(15), "Looking who uses \(disks.map(\.name))") {
      () throws(StorageError) in
      let processes = DeviceUsers.processes(using: numbers)
      if !processes.isEmpty { return processes.map(\.description).joined(separator: ", ") }
      for device in devices where try device.isClaimed() {
        return "a mount, a device map or the like on \(device.path)"
      }
      return ""
    }
  }

  private func maps(named names: [String]) async throws(StorageError) -> [DeviceMap] {
    let sysfs = places.sysfs
    return try await BlockingCalls.run { () throws(StorageError) in
      Set(names).sorted().compactMap { DeviceMap($0, sysfs) }
    }
  }

  /// The name of a device that is about to go may soon be another's.
  private func removeLink(to session: KernelSession) async throws(StorageError) {
    guard let attachment = session.attachment else { return }
    let names = session.disks.map(\.name) + (try await maps(named: session.disks.flatMap(\.holders)).map(\.name))
    let (links, devices) = (places.links, places.devices)
    try await BlockingCalls.run { () throws(StorageError) in
      let destination = links.destination(of: attachment)
      if names.contains(where: { "\(devices)/\($0)" == destination }) { try links.remove(attachment) }
    }
  }

  /// Flushes and removes the session's disks, with the multipath map that has no other path.
  private func takeApart(_ session: KernelSession) async throws(StorageError) {
    for disk in session.disks {
      if let map = try await maps(named: disk.holders).first(where: \.isMultipath), map.parts == [disk.name] {
        try await flush(map.name)
      }
    }
    try await takeOutOfMaps(session)
    for disk in session.disks {
      try await flush(disk.name)
    }
    let sysfs = places.sysfs
    for unit in session.units {
      let attempt = "Removing the device \(unit.disk?.name ?? unit.address)"
      do throws(StorageError) {
        try await DeviceCalls.run(within: .seconds(30), attempt) { () throws(StorageError) in
          try sysfs.write("1", to: "class/scsi_device/\(unit.address)/device/delete", attempt)
        }
      } catch {
        if error.code != .notFound { throw error }
      }
    }
  }

  private func takeOutOfMaps(_ session: KernelSession) async throws(StorageError) {
    for disk in session.disks {
      guard let map = try await maps(named: disk.holders).first(where: \.isMultipath) else { continue }
      guard map.parts == [disk.name] else {
        await multipath.letGo(disk.name)
        continue
      }
      // Whoever only looks at it, such as udev, would else hold it for as long as the target is away.
      if !session.isLoggedIn { await multipath.stopWaiting(map) }
      try await multipath.remove(map)
    }
  }

  /// multipathd lets go of a map that has lost its last path with its session, or else it is told to.
  private func seeOff(_ map: DeviceMap) async throws(StorageError) {
    let sysfs = places.sysfs
    func standing() async throws(StorageError) -> DeviceMap? {
      try await BlockingCalls.run { () throws(StorageError) in
        DeviceMap(map.name, sysfs).flatMap { $0.uuid == map.uuid ? $0 : nil }
      }
    }
    let isGone = try await wait(.seconds(2)) { () async throws(StorageError) -> Bool? in
      try await standing() == nil ? true : nil
    }
    if isGone == nil, let left = try await standing(), left.parts.isEmpty {
      await multipath.stopWaiting(left)
      try await multipath.remove(left)
    }
    await multipath.forget(map)
  }

  private func flush(_ name: String) async throws(StorageError) {
    let device = device(name)
    do throws(StorageError) {
      try await DeviceCalls.run(within: .seconds(60), "Flushing \(device.path)") { () throws(StorageError) in
        try device.flush()
      }
    } catch {
      // Gone already, by an earlier call.
      if error.code != .notFound { throw error }
    }
  }

  /// When it returns, the session is gone, whatever used it.
  func logOut(_ session: KernelSession) async throws(StorageError) {
    let (sysfs, database) = (places.sysfs, places.database)
    var failure = StorageError(.unavailable, "\(session.name) with \(session.target) is still there after a logout.")
    for _ in 0..<3 {
      if let attachment = session.attachment {
        try await BlockingCalls.run { () throws(StorageError) in try database.lendInterface(of: attachment) }
      }
      do throws(StorageError) {
        try await admin.logOut(session: session.number)
      } catch {
        failure = error
      }
      if let attachment = session.attachment {
        try await BlockingCalls.run { () throws(StorageError) in try database.withdrawInterface(of: attachment) }
      }
      // The kernel takes a session apart in the background.
      let isGone = try await wait(.seconds(10)) { () throws(StorageError) in
        try await BlockingCalls.run { () throws(StorageError) in
          sysfs.exists("class/iscsi_session/\(session.name)") ? nil : true
        }
      }
      if isGone != nil { return }
      if failure.code == .missingPart { break }
    }
    throw failure
  }
}
