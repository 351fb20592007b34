import PumiceModel

/// What can be done to one tgtd, a request each, with a sentence for each failure. Blocking.
struct TGTSession: Sendable {
  let client: TGTClient

  func targets() throws(StorageError) -> [TGTTarget] {
    TGTTargetList.parse(
      try client.call(TGTRequest(mode: .target, operation: .show), "Listing the targets"))
  }

  func target(named name: String) throws(StorageError) -> TGTTarget? {
    try targets().first { $0.name == name }
  }

  func accounts() throws(StorageError) -> [String] {
    TGTTargetList.parseAccounts(
      try client.call(TGTRequest(mode: .account, operation: .show), "Listing the accounts"))
  }

  // MARK: Targets

  /// Whether it was made; `false` when the id or the name is taken.
  func createTarget(_ id: Int32, _ name: String) throws(StorageError) -> Bool {
    try client.call(
      TGTRequest(mode: .target, operation: .new, target: id, parameters: "targetname=\(name)"),
      content: [.targetExists],
      "Creating target \(name)")
  }

  /// Ends its sessions too. `false` while commands are under way.
  func deleteTarget(_ target: TGTTarget) throws(StorageError) -> Bool {
    do {
      try client.call(
        TGTRequest(mode: .target, operation: .delete, target: target.id, force: true), content: [.noTarget],
        "Deleting target \(target.name)")
      return true
    } catch  where error.code == .inUse {
      return false
    }
  }

  func admit(_ initiator: String, to target: TGTTarget) throws(StorageError) {
    try client.call(
      TGTRequest(mode: .target, operation: .bind, target: target.id, parameters: "initiator-name=\(initiator)"),
      content: [.aclExists], "Admitting \(initiator) to target \(target.name)")
  }

  func refuse(_ initiator: String, at target: TGTTarget) throws(StorageError) {
    try client.call(
      TGTRequest(mode: .target, operation: .unbind, target: target.id, parameters: "initiator-name=\(initiator)"),
      content: [.noACL, .noTarget], "Refusing \(initiator) at target \(target.name)")
  }

  func close(_ nexus: TGTTarget.Nexus, of target: TGTTarget) throws(StorageError) {
    for connection in nexus.connections {
      try client.call(
        TGTRequest(
          mode: .connection, operation: .delete, target: target.id, session: nexus.session, connection: connection),
        content: [.noSession, .noConnection, .noTarget], "Ending the session of \(nexus.initiator) with \(target.name)")
    }
  }

  // MARK: Logical units

  func createUnit(_ number: UInt64, path: String, in target: TGTTarget) throws(StorageError) {
    try client.call(
      TGTRequest(
        mode: .logicalUnit, operation: .new, target: target.id, logicalUnit: number,
        parameters: "path=\(path),bstype=rdwr"),
      content: [.logicalUnitExists], "Offering \(path) as LUN \(number) of \(target.name)")
  }

  /// `false` while commands are under way.
  func deleteUnit(_ number: UInt64, of target: TGTTarget) throws(StorageError) -> Bool {
    do {
      try client.call(
        TGTRequest(mode: .logicalUnit, operation: .delete, target: target.id, logicalUnit: number),
        content: [.noLogicalUnit, .noTarget], "Withdrawing LUN \(number) of \(target.name)")
      return true
    } catch  where error.code == .inUse {
      return false
    }
  }

  func updateUnit(
    _ number: UInt64, of target: TGTTarget, _ parameters: [(String, String)]
  ) throws(StorageError) {
    let text = parameters.map { "\($0)=\($1)" }.joined(separator: ",")
    _ = try client.call(
      TGTRequest(
        mode: .logicalUnit, operation: .update, target: target.id, logicalUnit: number, parameters: "targetOps \(text),"
      ),
      "Setting \(parameters.map(\.0).joined(separator: ", ")) of LUN \(number) of \(target.name)")
  }

  /// Whether no read or write of any session is at work on the unit's file.
  func isIdle(_ number: UInt64, of target: TGTTarget) throws(StorageError) -> Bool {
    TGTTargetList.isIdle(
      try client.call(
        TGTRequest(mode: .logicalUnit, operation: .statistics, target: target.id, logicalUnit: number),
        "Looking for commands under way at LUN \(number) of \(target.name)"))
  }

  // MARK: Accounts

  /// Whether it was made; `false` when there is one of this name, with whatever secret.
  func createAccount(_ user: String, secret: String) throws(StorageError) -> Bool {
    try client.call(
      TGTRequest(mode: .account, operation: .new, parameters: "user=\(user),password=\(secret)"),
      content: [.userExists], "Creating account \(user)")
  }

  /// Only for accounts that are bound to no target: see `TGTAccounts`.
  func deleteAccount(_ user: String) throws(StorageError) {
    try client.call(
      TGTRequest(mode: .account, operation: .delete, parameters: "user=\(user)"), content: [.noUser],
      "Deleting account \(user)")
  }

  func perform(_ step: TGTAccounts.Step, on target: TGTTarget) throws(StorageError) {
    switch step {
    case .bind(let user):
      try client.call(
        TGTRequest(mode: .account, operation: .bind, target: target.id, parameters: "user=\(user)"),
        content: [.userExists], "Binding account \(user) to target \(target.name)")
    case .unbind(let user):
      try client.call(
        TGTRequest(mode: .account, operation: .unbind, target: target.id, parameters: "user=\(user)"),
        content: [.noUser, .noTarget], "Unbinding account \(user) from target \(target.name)")
    }
  }
}
