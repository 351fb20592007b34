import Glibc
import Logging
import PumiceModel
import Synchronization

/// The one way to LVM: starts its commands, keeps what they say about one volume group, and has them wait for each other.
///
/// Changes come one at a time, or several of a kind by one process (`GatheredChanges`), and each is followed by what it
/// makes of the group (`VolumeGroup.apply`) instead of by a report. Changes by others are noticed by `MetadataFingerprint`,
/// before anything that is kept is used.
final class LVM: LogicalVolumeManager {
  typealias Run =
    @Sendable (_ arguments: [String], _ deadline: Duration) async throws(StorageError) -> CommandRunner.Outcome

  /// How long somebody else may hold the group's lock before we say so.
  struct Patience: Sendable {
    var lock = Duration.seconds(20)
    var report = Duration.seconds(60)
    /// For a look at the metadata itself.
    var metadata = Duration.seconds(10)
    /// A change is killed only when it is hopeless: what it leaves may be suspended devices.
    var change = Duration.seconds(900)
    /// For how long nobody looks again whether somebody else has changed the group. One call asks several times, and between
    /// a look and what follows it others may come, too: LVM's own commands go by what is there.
    var look = Duration.milliseconds(50)
    /// How often the group is read in a stream of changes after which it is not known.
    var betweenReports = Duration.seconds(1)
    /// For how long somebody is kept waiting who may ask again.
    var room = Duration.seconds(10)
  }

  private struct State {
    var group: VolumeGroup?
    /// When the figures that metadata doesn't hold were read.
    var readAt: ContinuousClock.Instant?
    var fingerprint: MetadataFingerprint?
    /// When the metadata was last seen to have it.
    var seenAt: ContinuousClock.Instant?
    /// Paths of the physical volumes that LVM is let see; `nil` until they are known.
    var devices: [String]?
    /// Counts changes by this agent, so that a report that began before one is not kept.
    var changes = 0
    var isChanging = false
    /// A command was killed, or died: it may have left devices suspended.
    var mayHaveSuspended = false
    /// Reads of the metadata itself that have not come back: a disk may hang.
    var readsUnderWay = 0
  }

  let name: String
  private let run: Run
  private let lock: VolumeGroupLock
  private let patience: Patience
  private let logger: Logger
  private let state = Mutex(State())
  private let turns = KeyedLock<Turn>()
  private let gathered = GatheredChanges()
  private let admission: ChangeAdmission
  private enum Turn: Hashable, Sendable { case read, change }

  /// - Parameters:
  ///   - lockFolder: `global/locking_dir` of lvm.conf.
  ///   - run: Starts `lvm` or `dmsetup`; the first argument says which command of LVM, or is `dmsetup`.
  init(
    group name: String, patience: Patience = Patience(), lockFolder: String = "/run/lock/lvm",
    admission: ChangeAdmission = ChangeAdmission(), logger: Logger,
    run: @escaping Run = LVM.process
  ) {
    self.name = name
    lock = VolumeGroupLock(group: name, folder: lockFolder)
    self.patience = patience
    self.admission = admission
    self.logger = logger
    self.run = run
  }

  static let process: Run = { arguments, deadline throws(StorageError) in
    // Services may have a PATH without the folders where LVM lies.
    let path = (getenv("PATH").map { String(cString: $0) + ":" } ?? "") + "/usr/sbin:/sbin"
    let isDM = arguments.first == "dmsetup"
    return try await CommandRunner(deadline: deadline, outputLimit: 64 << 20).run(
      isDM ? "dmsetup" : "lvm", isDM ? Array(arguments.dropFirst()) : arguments,
      environment: LVMSettings.environment.merging(["PATH": path]) { first, _ in first })
  }

  // MARK: Reading

  func group(_ freshness: Freshness) async throws(StorageError) -> VolumeGroup {
    if let group = await kept(freshness) { return group }
    return try await turns.withLock(.read) { () async throws(StorageError) in
      // Whoever was here before may have read it just now.
      if let group = await kept(freshness) { return group }
      return try await report()
    }
  }

  /// What is known of the group, if it may be used.
  private func kept(_ freshness: Freshness) async -> VolumeGroup? {
    let (group, readAt, fingerprint, seenAt, isChanging) = state.withLock {
      ($0.group, $0.readAt, $0.fingerprint, $0.seenAt, $0.isChanging)
    }
    guard let group, let readAt else { return nil }
    let age: Duration = freshness == .live ? .seconds(2) : .seconds(30)
    guard readAt.duration(to: .now) <= age else { return nil }
    // While a change of ours is under way, the metadata differs for that reason.
    if isChanging { return group }
    if fingerprint != nil, let seenAt, seenAt.duration(to: .now) < patience.look { return group }
    let now = ContinuousClock.now
    guard let fingerprint, await currentFingerprint() == fingerprint else {
      // A change of ours may have begun, or ended, while the block was being read.
      return state.withLock { $0.isChanging || $0.fingerprint != fingerprint ? $0.group : nil }
    }
    state.withLock { if $0.fingerprint == fingerprint { $0.seenAt = now } }
    return group
  }

  private func report() async throws(StorageError) -> VolumeGroup {
    let (devices, changes) = state.withLock { ($0.devices, $0.changes) }
    let before = await currentFingerprint()
    var group: VolumeGroup
    do throws(StorageError) {
      group = try await report(devices: devices)
    } catch  where devices != nil && (error.code == .notFound || error.code == .unavailable) {
      // The physical volumes may have other names now.
      group = try await report(devices: nil)
    }
    if devices != nil, group.physicalVolumes.contains(where: \.isMissing) { group = try await report(devices: nil) }
    if devices == nil || group.physicalVolumes.map(\.name) != devices {
      logger.debug(
        "physical volumes", metadata: ["lvm.vg": "\(name)", "lvm.pvs": "\(group.physicalVolumes.map(\.name))"])
    }
    if group.logicalVolumes.values.contains(where: { $0.kind == .thinPool }) {
      let pending = try await pendingMessages(in: group)
      for name in pending.pools { group.logicalVolumes[name]?.hasPendingMessages = true }
      for name in pending.creations { group.logicalVolumes[name]?.isPendingCreation = true }
    }
    let read = group
    let isKept = state.withLock { state in
      guard state.changes == changes, !state.isChanging else { return false }
      let names = read.physicalVolumes.filter { !$0.isMissing }.map(\.name)
      // Without the fingerprint from before, it is not known whether the report is already outdated.
      state.fingerprint = names == state.devices ? before : nil
      state.seenAt = nil
      state.devices = names
      state.group = read
      state.readAt = .now
      return true
    }
    if isKept, before == nil || devices == nil {
      // The first report: what the fingerprint was before is not known, so that a change in between can't be excluded.
      let now = await currentFingerprint()
      state.withLock { if $0.changes == changes, !$0.isChanging, $0.fingerprint == nil { $0.fingerprint = now } }
    }
    return group
  }

  private func report(devices: [String]?) async throws(StorageError) -> VolumeGroup {
    let outcome = try await lvm(
      ["fullreport"] + VolumeGroup.reportArguments + [name], devices: devices, attempt: "Reading volume group \(name)",
      deadline: patience.report, isRepeatable: true)
    return try VolumeGroup(report: outcome.standardOutput, of: name)
  }

  func extents(of volume: String) async throws(StorageError) -> [String] {
    let outcome = try await lvm(
      ["lvs", "--noheadings", "-o", "seg_pe_ranges", "\(name)/\(volume)"], devices: state.withLock(\.devices),
      attempt: "Reading the extents of \(name)/\(volume)", deadline: patience.report, isRepeatable: true)
    return outcome.standardOutput.split(whereSeparator: \.isWhitespace).map(String.init)
  }

  /// None while a command of ours is at work: it has not come to crossing them out.
  private func pendingMessages(in group: VolumeGroup) async throws(StorageError) -> PendingMessages {
    let changes = state.withLock { $0.isChanging ? nil : $0.changes }
    guard let changes, let device = group.physicalVolumes.first(where: { $0.holdsMetadata && !$0.isMissing })?.name
    else { return PendingMessages() }
    let pending = try await readMetadata(on: device) { () throws(StorageError) in
      PendingMessages(metadata: try MetadataFingerprint.text(ofPhysicalVolume: device))
    }
    return state.withLock { $0.changes == changes && !$0.isChanging } ? pending : PendingMessages()
  }

  private func currentFingerprint() async -> MetadataFingerprint? {
    let (devices, group) = state.withLock { ($0.devices, $0.group) }
    let holders = group.map { group in group.physicalVolumes.filter(\.holdsMetadata).map(\.name) }
    guard let device = devices?.first(where: { holders?.contains($0) ?? true }) else { return nil }
    return try? await readMetadata(on: device) { () throws(StorageError) in
      try MetadataFingerprint(ofPhysicalVolume: device)
    }
  }

  /// Throws `timeout` when the disk does not answer in time, and `unavailable` when it has not answered several times.
  private func readMetadata<Value: Sendable>(
    on device: String, _ read: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let attempt = "Reading the LVM metadata of \(device)"
    guard state.withLock(\.readsUnderWay) < 4 else {
      throw StorageError(.unavailable, "\(attempt) failed: earlier reads have not come back.")
    }
    return try await BlockingCalls.run(within: patience.metadata, attempt) { [self] () throws(StorageError) in
      state.withLock { $0.readsUnderWay += 1 }
      defer { state.withLock { $0.readsUnderWay -= 1 } }
      return try read()
    }
  }

  // MARK: Changing

  func run(_ commands: LVMCommand...) async throws(StorageError) {
    if commands.count == 1, let kind = commands[0].kind { return try await gather(commands[0], kind) }
    try await turns.withLock(.change) { () async throws(StorageError) in try await change(commands) }
  }

  func whenThereIsRoom<Value: Sendable>(
    _ work: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value? {
    let deadline = ContinuousClock.now + patience.room
    while !admission.enter() {
      guard .now < deadline, (try? await Task.sleep(for: .milliseconds(200))) != nil else { return nil }
    }
    defer { admission.leave() }
    return try await work()
  }

  /// Waits for the turn, and makes the change with all others of its kind that wait by then; or has one of those make it.
  private func gather(_ command: LVMCommand, _ kind: LVMCommand.Kind) async throws(StorageError) {
    if let outcome = await gathered.join(command, kind) { return try outcome.get() }
    var hasTurn = false
    do throws(StorageError) {
      try await turns.withLock(.change) { () async throws(StorageError) in
        hasTurn = true
        let followers = gathered.takeFollowers(kind)
        let outcomes = await outcomes(of: [command] + followers.map(\.command))
        for (follower, outcome) in zip(followers, outcomes.dropFirst()) {
          follower.continuation.resume(returning: outcome)
        }
        try outcomes[0].get()
      }
    } catch {
      if !hasTurn { gathered.giveUp(kind) }
      throw error
    }
  }

  /// Makes changes of a kind by one process; when that fails, one after the other, for who is to know of which.
  private func outcomes(of commands: [LVMCommand]) async -> [GatheredChanges.Outcome] {
    let areRepeated = commands.count > 1
    if areRepeated {
      do throws(StorageError) {
        try await change(commands, together: true)
        return commands.map { _ in .success(()) }
      } catch {
        // What hangs would hang again, for each; and after a death it must first be seen what it has left.
        if error.code == .timeout || state.withLock(\.mayHaveSuspended) { return commands.map { _ in .failure(error) } }
      }
    }
    var outcomes: [GatheredChanges.Outcome] = []
    for command in commands {
      do throws(StorageError) {
        if areRepeated, case .remove(let name) = command, try await group(.known)[name] == nil {
          // The process for all has come as far as this one.
        } else {
          try await change([command])
        }
        outcomes.append(.success(()))
      } catch {
        outcomes.append(.failure(error))
      }
    }
    return outcomes
  }

  /// Runs the commands one after the other, or one process for all. Inside the turn.
  private func change(_ commands: [LVMCommand], together: Bool = false) async throws(StorageError) {
    try await resumeWhatIsSuspended()
    await readIfOthersWait()
    let isTrusted = await begin()
    let start = ContinuousClock.now
    do throws(StorageError) {
      for part in together ? [commands] : commands.map({ [$0] }) {
        _ = try await lvm(
          LVMCommand.arguments(part, group: name), devices: state.withLock(\.devices),
          attempt: LVMCommand.attempt(part, group: name), deadline: patience.change, isRepeatable: part[0].isRepeatable)
        for command in part {
          let isPredicted = state.withLock { state in state.group?.apply(command) ?? false }
          if !isPredicted { state.withLock { $0.group = nil } }
        }
      }
      if !together { admission.note(start.duration(to: .now)) }
      await end(isTrusted: isTrusted)
    } catch {
      state.withLock { $0.group = nil }
      await end(isTrusted: false)
      throw error
    }
  }

  /// In a stream of changes, reads the group between two of them when what is kept is getting old: a report beside a change
  /// would wait for LVM's lock, hold up the change, and be outdated at once. Inside the turn.
  private func readIfOthersWait() async {
    guard turns.waiters(for: .change) > 0 else { return }
    let isOld = state.withLock { state in
      guard let age = state.readAt?.duration(to: .now) else { return true }
      return age > .seconds(10) || state.group == nil && age >= patience.betweenReports
    }
    guard isOld else { return }
    // Whoever needs it, and finds nothing, meets the error in a report of their own.
    _ = try? await turns.withLock(.read) { () async throws(StorageError) in try await report() }
  }

  /// Returns whether what is kept was true until now.
  private func begin() async -> Bool {
    let known = state.withLock(\.fingerprint)
    let now = await currentFingerprint()
    return state.withLock { state in
      state.isChanging = true
      state.changes += 1
      return known != nil && known == now
    }
  }

  private func end(isTrusted: Bool) async {
    let instant = ContinuousClock.now
    let now = await currentFingerprint()
    state.withLock { state in
      state.isChanging = false
      state.changes += 1
      state.fingerprint = now
      state.seenAt = isTrusted ? instant : nil
      if !isTrusted || now == nil { state.group = nil }
    }
  }

  // MARK: Processes

  private func lvm(
    _ arguments: [String], devices: [String]?, attempt: String, deadline: Duration, isRepeatable: Bool
  ) async throws(StorageError) -> CommandRunner.Outcome {
    try await waitForLock(attempt)
    let settings = ["--config", LVMSettings.text(devices: devices)]
    var deaths = 0
    while true {
      let outcome: CommandRunner.Outcome
      let start = ContinuousClock.now
      do throws(StorageError) {
        outcome = try await run([arguments[0]] + settings + arguments.dropFirst(), deadline)
        logger.debug(
          "lvm has ended",
          metadata: [
            "lvm.command": "\(arguments.joined(separator: " "))", "lvm.duration": "\(start.duration(to: .now))",
            "lvm.vg": "\(name)",
          ])
      } catch {
        state.withLock { $0.mayHaveSuspended = true }
        guard error.code == .timeout else { throw error }
        let holder = lock.holder.map { " The group is locked by \($0)." } ?? ""
        throw StorageError(.timeout, "\(attempt) failed: LVM did not end within \(deadline) and was killed.\(holder)")
      }
      if outcome.succeeded { return outcome }
      let hasDied = outcome.exitCode == nil || outcome.exitCode == 139
      if hasDied { state.withLock { $0.mayHaveSuspended = true } }
      deaths += 1
      if hasDied, isRepeatable, deaths < 3 {
        logger.warning("lvm died and is run again", metadata: ["lvm.vg": "\(name)", "lvm.command": "\(arguments[0])"])
        continue
      }
      throw StorageError.lvm(
        attempt, exitCode: hasDied ? nil : outcome.exitCode, message: outcome.standardError)
    }
  }

  /// LVM would wait for ever, and could not be told from one that works.
  private func waitForLock(_ attempt: String) async throws(StorageError) {
    let deadline = ContinuousClock.now.advanced(by: patience.lock)
    var pause = Duration.milliseconds(10)
    while let holder = lock.holder {
      guard .now < deadline else {
        throw StorageError(
          .unavailable,
          "\(attempt) failed: for \(patience.lock) volume group \(name) has been locked by \(holder).")
      }
      do { try await Task.sleep(for: pause) } catch { throw StorageError.wrap(error, attempt) }
      pause = min(pause * 2, .milliseconds(500))
    }
  }

  // MARK: Suspended devices

  /// A command that is killed at the wrong moment leaves devices suspended, on which everything that reads them hangs.
  /// Those of our logical volumes are resumed, while no LVM command is at work on the group.
  ///
  /// Done before the next change after a command has died. Throws `unavailable` when devices of others stand in the way.
  private func resumeWhatIsSuspended() async throws(StorageError) {
    guard state.withLock(\.mayHaveSuspended) else { return }
    try await resumeSuspended()
    state.withLock { $0.mayHaveSuspended = false }
  }

  func resumeSuspended() async throws(StorageError) {
    let group = try await group(.live)
    let attempt = "Looking for suspended devices of volume group \(name)"
    let shown = try await run(
      ["dmsetup", "info", "-c", "--noheadings", "--separator", "|", "-o", "name,uuid,suspended"], patience.report)
    guard shown.succeeded else { throw .lvm(attempt, exitCode: shown.exitCode, message: shown.standardError) }
    let suspended = SuspendedDevice.list(shown.standardOutput, in: group)
    guard !suspended.isEmpty else { return }
    guard let held = lock.take() else { return }
    defer { held.release() }
    for device in suspended where device.isOurs {
      let outcome = try await run(["dmsetup", "resume", device.name], patience.report)
      logger.warning(
        "suspended device resumed",
        metadata: ["lvm.vg": "\(name)", "dm.name": "\(device.name)", "dm.resumed": "\(outcome.succeeded)"])
    }
    if let foreign = suspended.first(where: { !$0.isOurs }) {
      throw StorageError(
        .unavailable,
        "Device \(foreign.name) of volume group \(name) is suspended, and LVM may hang on it. It is not Pumice's: see what left it so, then: dmsetup resume \(foreign.name)"
      )
    }
  }
}
