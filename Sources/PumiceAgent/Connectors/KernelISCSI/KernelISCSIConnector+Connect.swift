import Logging
public import PumiceModel
public import PumiceWire

extension KernelISCSIConnector {
  /// A session that an earlier call made is used again, if it was made with the same name and secret; one with others is
  /// ended first, unless somebody uses its disk (`inUse`). A failed call leaves no session that was not there before.
  ///
  /// Throws `missingPart` without open-iscsi, `unavailable` without its daemon, `forbidden` for a wrong name or secret.
  public func connect(
    _ attachment: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> DiskSource {
    let target = request.target
    guard !target.portals.isEmpty else { throw .invalid("target.portals", "must not be empty.") }
    var portals: [ISCSIPortal] = []
    for text in target.portals { portals.append(try ISCSIPortal(text)) }
    return try await locks.withLock(target.iqn.lowercased()) { () async throws(StorageError) in
      let before = try await look(for: attachment).sessions.map(\.number)
      do throws(StorageError) {
        let joinsPaths = try await joinsPaths(attachment, to: portals)
        let sessions = try await logIn(attachment, target, at: portals, joinsPaths: joinsPaths)
        let device = try await device(of: request, through: sessions, attachment, joinsPaths: joinsPaths)
        let links = places.links
        try await BlockingCalls.run { () throws(StorageError) in try links.point(attachment, to: device) }
        return .block(path: links.path(of: attachment))
      } catch {
        await undo(attachment, besides: before)
        throw error
      }
    }
  }

  // MARK: The device

  /// Whether the disk is to be a map of all paths, be it of one at first. Who has opened the disk of a single path would not
  /// follow to a map.
  private func joinsPaths(_ attachment: AttachmentID, to portals: [ISCSIPortal]) async throws(StorageError) -> Bool {
    guard portals.count > 1, await multipath.isRunning() else { return false }
    let disks = try await look(for: attachment).disks
    let (links, devices) = (places.links, places.devices)
    return try await BlockingCalls.run { () throws(StorageError) in
      let destination = links.destination(of: attachment)
      return !disks.contains { "\(devices)/\($0.name)" == destination }
    }
  }

  /// The device that these sessions lead to, once it has shown that it is the volume, whole.
  private func device(
    of request: ConnectionRequest, through sessions: [KernelSession], _ attachment: AttachmentID, joinsPaths: Bool
  ) async throws(StorageError) -> String {
    var disks: [SCSIDisk] = []
    for session in sessions {
      let disk = try await findDisk(request.target, of: session)
      try await check(disk, request)
      disks.append(disk)
    }
    let found = joinsPaths ? try await join(disks, attachment) : try await map(over: disks, attachment)
    guard let map = found else {
      if joinsPaths { try await useOnly(sessions[0], of: sessions, attachment, request.target) }
      return "\(places.devices)/\(disks[0].name)"
    }
    if !joinsPaths {
      logger.info(
        "multipathd has taken a disk with one path",
        metadata: ["disk.name": "\(disks[0].name)", "map.name": "\(map.label)"])
    }
    if await !multipath.waits(map) {
      logger.warning(
        "a multipath map gives up when its last path is down; give multipathd the lines of Config/multipath.conf",
        metadata: ["map.name": "\(map.label)"])
    }
    if map.size < request.size {
      try await multipath.resize(map)
      let size = try await look(for: attachment).map(named: map.name)?.size
      guard let size, size >= request.size else {
        throw StorageError(
          .unavailable, "The multipath map \(map.label) of volume \(request.volume) does not grow to \(request.size).")
      }
    }
    return "\(places.devices)/\(map.name)"
  }

  /// The disk behind a session's LUN, with its node below /dev. The target is asked for this one LUN only.
  private func findDisk(
    _ target: ExportedTarget, of session: KernelSession
  ) async throws(StorageError) -> SCSIDisk {
    let attempt = "Finding LUN \(target.lun) of \(target.iqn)"
    let sysfs = places.sysfs
    func disk() async throws(StorageError) -> SCSIDisk? {
      guard let disk = try await self.session(session.number)?.unit(target.lun)?.disk else { return nil }
      let device = device(disk.name)
      return try await BlockingCalls.run { () throws(StorageError) in device.number == disk.number ? disk : nil }
    }
    if session.unit(target.lun) == nil {
      try await DeviceCalls.run(within: .seconds(30), attempt) { () throws(StorageError) in
        try sysfs.write("0 0 \(target.lun)", to: "class/scsi_host/host\(session.host)/scan", attempt)
      }
      // The scan has ended, so what it has not found by now is not there; only the disk of a unit may be late.
      guard try await self.session(session.number)?.unit(target.lun) != nil else {
        throw StorageError(.unavailable, "\(attempt) failed: the target shows no such unit to this initiator.")
      }
    } else if let unit = session.unit(target.lun), unit.state.hasSuffix("offline") {
      // Given up by the kernel in an outage that has ended.
      try await DeviceCalls.run(within: .seconds(30), attempt) { () throws(StorageError) in
        try sysfs.write("running", to: "class/scsi_device/\(unit.address)/device/state", attempt)
      }
    }
    guard let disk = try await wait(.seconds(15), for: disk) else {
      throw StorageError(.unavailable, "\(attempt) failed: the kernel makes no disk of the unit.")
    }
    return disk
  }

  private func check(_ disk: SCSIDisk, _ request: ConnectionRequest) async throws(StorageError) {
    let device = device(disk.name)
    let name = "The disk behind \(request.target.iqn) LUN \(request.target.lun), \(disk.name),"
    let serial = try await DeviceCalls.run(within: .seconds(30), "Reading the serial number of \(device.path)") {
      () throws(StorageError) in try device.unitSerial()
    }
    guard VolumeID(serial) == request.volume else {
      throw StorageError(.wrongDevice, "\(name) has the serial \"\(serial)\", not that of volume \(request.volume).")
    }
    guard disk.size < request.size else { return }
    let attempt = "Reading the size of \(device.path) anew"
    let sysfs = places.sysfs
    let size = try await DeviceCalls.run(within: .seconds(30), attempt) { () throws(StorageError) in
      try sysfs.write("1", to: "block/\(disk.name)/device/rescan", attempt)
      return SCSIDisk(disk.name, sysfs)?.size ?? disk.size
    }
    guard size >= request.size else {
      throw StorageError(.wrongDevice, "\(name) has \(size) (\(size.bytes) bytes), less than \(request.size).")
    }
  }

  // MARK: Paths

  /// The multipath map that has all of these disks.
  private func map(over disks: [SCSIDisk], _ attachment: AttachmentID) async throws(StorageError) -> DeviceMap? {
    let names = Set(disks.map(\.name))
    return try await look(for: attachment).maps.first { $0.isMultipath && names.isSubset(of: $0.parts) }
  }

  /// Has multipathd make a map of these disks. It knows nothing of a disk that udev has not looked at yet, so it is asked
  /// for a while. `nil` when it makes none.
  private func join(_ disks: [SCSIDisk], _ attachment: AttachmentID) async throws(StorageError) -> DeviceMap? {
    try await wait(.seconds(15)) { () async throws(StorageError) -> DeviceMap? in
      if let map = try await map(over: disks, attachment) { return map }
      await multipath.claim(disks.map(\.name))
      return try await map(over: disks, attachment)
    }
  }

  /// Ends all sessions but one, which then has to wait for the target like one that never had others.
  private func useOnly(
    _ session: KernelSession, of sessions: [KernelSession], _ attachment: AttachmentID, _ target: ExportedTarget
  ) async throws(StorageError) {
    logger.warning(
      "multipathd makes no map, so one path is used",
      metadata: ["target.name": "\(session.target)", "session.number": "\(session.number)"])
    for other in sessions where other.number != session.number { try await end(other) }
    guard let portal = session.portal else { return }
    try await keep(session, as: try NodeRecord(attachment, target, at: portal, recovery: .waits))
  }
}

extension KernelSession {
  func unit(_ lun: Int) -> SCSIUnit? { units.first { $0.lun == lun } }
}
