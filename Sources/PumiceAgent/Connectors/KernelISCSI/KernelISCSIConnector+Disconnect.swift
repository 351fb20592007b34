import Logging
public import PumiceModel

extension KernelISCSIConnector {
  /// Flushes the disk, removes it, logs out and deletes the node records, and sees to it that nothing of that is left.
  ///
  /// It goes by the names of what it made, never by which device looks like the volume. Throws `inUse` while anybody has
  /// the disk open, which then stays as it is.
  public func disconnect(_ attachment: AttachmentID) async throws(StorageError) {
    let targets = Set(
      try await look(for: attachment).sessions.map { $0.target.lowercased() }
        + entries(of: attachment).map { $0.target.lowercased() })
    for target in targets.sorted() {
      try await locks.withLock(target) { () async throws(StorageError) in
        for session in try await look(for: attachment).sessions where session.target.lowercased() == target {
          try await end(session)
        }
        try await forget(attachment, target)
      }
    }
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
    try await refuseIfUsed(session)
    try await removeLink(to: session)
    if session.isLoggedIn {
      try await takeApart(session)
    } else {
      // Nothing could be written any more, and a device without its target may hold for ever whoever asks it.
      logger.warning(
        "a session that is down is ended without a flush",
        metadata: ["session.number": "\(session.number)", "session.state": "\(session.state)"])
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
  private func refuseIfUsed(_ session: KernelSession) async throws(StorageError) {
    guard !session.disks.isEmpty else { return }
    var users = ""
    let isFree = try await wait(.seconds(5)) { () throws(StorageError) in
      users = try await self.users(of: session)
      return users.isEmpty ? true : nil
    }
    guard isFree == nil else { return }
    throw StorageError(
      .inUse, "\(session.name) with \(session.target) can't be ended: its disk is in use by \(users).")
  }

  /// Who uses the session's disks, in words; empty when nobody does.
  private func users(of session: KernelSession) async throws(StorageError) -> String {
    let disks = try await self.session(session.number)?.disks ?? []
    let maps = try await maps(over: disks).filter(\.isMultipath)
    let mapNames = Set(maps.map(\.name))
    let holders = Set(disks.flatMap(\.holders)).subtracting(mapNames).union(maps.flatMap(\.holders))
    if !holders.isEmpty { return holders.sorted().joined(separator: ", ") }
    // A path that has a brother in the map can go while the map stays.
    let lonelyMaps = maps.filter { Set($0.parts).isSubset(of: disks.map(\.name)) }
    let claimable =
      disks.filter { disk in mapNames.isDisjoint(with: disk.holders) }.map(\.name) + lonelyMaps.map(\.name)
    let numbers = Set(disks.flatMap { [$0.number] + $0.partitions } + lonelyMaps.map(\.number))
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

  private func maps(over disks: [SCSIDisk]) async throws(StorageError) -> [DeviceMap] {
    let sysfs = places.sysfs
    return try await BlockingCalls.run { () throws(StorageError) in
      Set(disks.flatMap(\.holders)).sorted().compactMap { DeviceMap($0, sysfs) }
    }
  }

  /// The name of a device that is about to go may soon be another's.
  private func removeLink(to session: KernelSession) async throws(StorageError) {
    guard let attachment = session.attachment else { return }
    let names = session.disks.map(\.name) + (try await maps(over: session.disks).map(\.name))
    let (links, devices) = (places.links, places.devices)
    try await BlockingCalls.run { () throws(StorageError) in
      let destination = links.destination(of: attachment)
      if names.contains(where: { "\(devices)/\($0)" == destination }) { try links.remove(attachment) }
    }
  }

  /// Flushes and removes the session's disks, with the multipath map that has no other path.
  private func takeApart(_ session: KernelSession) async throws(StorageError) {
    for disk in session.disks {
      if let map = try await maps(over: [disk]).first(where: \.isMultipath) {
        if map.parts == [disk.name] {
          try await flush(map.name)
          try await multipath.remove(map)
        } else {
          await multipath.letGo(disk.name)
        }
      }
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

  private func logOut(_ session: KernelSession) async throws(StorageError) {
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
