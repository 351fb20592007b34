import HashTreeCollections
import PumiceIdentity
public import PumiceModel

/// The use cases of transfers: a volume changes hands. Each is one transaction.
extension Tables {
  /// The offer, if it is there and the project's; `nil` stands for every project.
  func transfer(_ id: TransferID, of project: ProjectID?) throws(StorageError) -> Transfer {
    guard let transfer = transfers[id], project == nil || transfer.project == project else {
      throw StorageError(.notFound, "Transfer \(id) could not be found.")
    }
    return transfer
  }

  /// Offers a volume that nothing holds or reads. Whoever has the key that is returned, which is kept nowhere, may accept it.
  public mutating func offerVolume(
    _ id: VolumeID, of project: ProjectID?, name: String = "", leavesSnapshots: Bool = false, at now: Timestamp,
    in surroundings: Surroundings
  ) throws(StorageError) -> (transfer: Transfer, key: String) {
    var volume = try volume(id, of: project)
    if let holder = holders(of: id).first {
      throw StorageError(
        .conflict,
        "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), so it can't be transferred.")
    }
    try requireUnread(volume, to: "transferred")
    try requireNoGroup(volume, to: "be transferred")
    for snapshot in snapshots(of: id) where !leavesSnapshots { try requireNoGroup(snapshot, to: "be transferred") }
    try volume.offer(at: now)
    put(volume)
    let key = [surroundings.roll(), surroundings.roll()].map { Self.hexadecimal($0) }.joined()
    let digest = KeyDigest(of: key, salt: Array(Self.hexadecimal(surroundings.roll()).utf8))
    let transfer = Transfer(
      id: surroundings.newID(), of: volume, name: name, leavesSnapshots: leavesSnapshots, keyDigest: digest.text,
      createdAt: now)
    put(transfer)
    return (transfer, key)
  }

  /// Makes a volume that was offered the project's, with its snapshots unless they were to stay, within its quota.
  ///
  /// The key is checked before anything is said about the volume.
  public mutating func acceptTransfer(
    _ id: TransferID, key: String, into project: ProjectID, by user: String, at now: Timestamp
  ) throws(StorageError) -> Transfer {
    let transfer = try transfer(id, of: nil)
    guard try KeyDigest(transfer.keyDigest).fits(key) else {
      throw .invalid("auth_key", "is not the key of transfer \(id).")
    }
    var volume = try volume(transfer.volume, of: transfer.project)
    let snapshots = transfer.leavesSnapshots ? [] : snapshots(of: volume.id).filter { $0.project == volume.project }
    if project != volume.project { try requireRoom(for: volume, with: snapshots, in: project) }
    try volume.accept(into: project, by: user, at: now)
    put(volume)
    for var snapshot in snapshots {
      snapshot.accept(into: project, by: user, at: now)
      put(snapshot)
    }
    remove(transfer)
    return transfer
  }

  /// Takes an offer back: the volume is available again.
  public mutating func withdrawTransfer(
    _ id: TransferID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    let transfer = try transfer(id, of: project)
    var volume = try volume(transfer.volume, of: transfer.project)
    try volume.takeBack(at: now)
    put(volume)
    remove(transfer)
  }

  private func requireRoom(
    for volume: Volume, with snapshots: [Snapshot], in project: ProjectID
  ) throws(StorageError) {
    guard let type = types[volume.type] else {
      throw StorageError(.failed, "\(volume.label) has a type that is not there.")
    }
    guard type.isOpen(to: project) else {
      throw StorageError(.conflict, "\(volume.label) is of type \(type.name), which project \(project) may not use.")
    }
    let size = volume.promisedSize.gibibytesRoundedUp
    try usage(of: project).check(
      adding: 1, snapshots: snapshots.count,
      gigabytes: snapshots.reduce(size) { $0 + $1.promisedSize.gibibytesRoundedUp }, volumeSize: size, type: type,
      against: quota(of: project))
  }

  private static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
