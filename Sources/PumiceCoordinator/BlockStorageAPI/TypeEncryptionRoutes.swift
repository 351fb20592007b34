import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

/// What a type says of encryption, as Cinder shows it.
private struct EncryptionResource: Encodable {
  let typeID: String
  let id: String
  let provider: String
  @OrNull var cipher: String?
  @OrNull var keySize: Int?
  let location: String
  let createdAt: String
  @OrNull var updatedAt: String?
  @OrNull var deletedAt: String?
  let deleted = false

  init(_ encryption: VolumeEncryption, of type: VolumeType) {
    typeID = type.id.description
    id = encryption.id.description
    provider = encryption.provider
    location = encryption.location.rawValue
    createdAt = encryption.createdAt.cinder
    cipher = encryption.cipher
    keySize = encryption.keySize
    updatedAt = encryption.updatedAt?.cinder
    deletedAt = nil
  }

  enum CodingKeys: String, CodingKey {
    case provider, cipher, deleted
    case typeID = "volume_type_id"
    case id = "encryption_id"
    case keySize = "key_size"
    case location = "control_location"
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case deletedAt = "deleted_at"
  }

  /// One of its members alone.
  func member(_ name: String) -> Member? {
    switch CodingKeys(rawValue: name) {
    case .provider: .text(provider)
    case .cipher: .text(cipher)
    case .deleted: .flag(deleted)
    case .typeID: .text(typeID)
    case .id: .text(id)
    case .keySize: .number(keySize)
    case .location: .text(location)
    case .createdAt: .text(createdAt)
    case .updatedAt: .text(updatedAt)
    case .deletedAt: .text(deletedAt)
    case nil: nil
    }
  }

  enum Member: Encodable {
    case text(String?)
    case number(Int?)
    case flag(Bool)

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .number(let number): try container.encode(number)
      case .flag(let flag): try container.encode(flag)
      }
    }
  }
}

extension BlockStorageRoutes {
  func addTypeEncryption(to routes: Routes) {
    routes.on(.get, "types/:id/encryption", needs: .writeTypes) { call in
      let type = try call.typeInPath()
      guard let encryption = type.encryption else { return try Response.json([String: String]()) }
      return try Response.json(EncryptionResource(encryption, of: type))
    }
    routes.on(.get, "types/:id/encryption/:encryption", needs: .writeTypes) { call in
      let type = try call.typeInPath()
      let key = try call.parameter("encryption")
      guard let member = type.encryption.flatMap({ EncryptionResource($0, of: type).member(key) }) else {
        throw StorageError(.notFound, "Volume type \(type.name) has no encryption with '\(key.prefix(64))'.")
      }
      return try Response.json([key: member])
    }
    routes.on(.post, "types/:id/encryption", needs: .writeTypes) { call in
      let type = try call.typeInPath()
      let fields = try await call.encryptionFields()
      guard let provider = try fields.text("provider") else { throw StorageError.invalid("provider", "is required.") }
      guard let location = try fields.encryptionLocation() else {
        throw StorageError.invalid("control_location", "is required.")
      }
      let encryption = VolumeEncryption(
        id: call.api.surroundings.newID(), provider: provider, cipher: try fields.text("cipher"),
        keySize: try fields.keySize(), location: location, createdAt: call.now)
      try await call.api.store.write { try $0.setEncryption(of: type.id, to: encryption) }
      call.context.logger.info("Encryption of a volume type set", metadata: ["type.id": "\(type.id)"])
      return try Response.json(["encryption": EncryptionResource(encryption, of: type)])
    }
    routes.on(.put, "types/:id/encryption/:encryption", needs: .writeTypes) { call in
      let (type, id) = (try call.typeInPath(), try call.id("encryption", ofA: "Encryption") as VolumeEncryptionID)
      let fields = try await call.encryptionFields()
      let (provider, cipher) = (try fields.text("provider"), try fields.text("cipher"))
      let (keySize, location) = (try fields.keySize(), try fields.encryptionLocation())
      guard !fields.values.isEmpty else { throw StorageError.invalid("encryption", "must have at least one entry.") }
      // `null` is a value here: it takes back what was said.
      let (isCipherSaid, isSizeSaid) = (fields.values["cipher"] != nil, fields.values["key_size"] != nil)
      let now = call.now
      try await call.api.store.write {
        try $0.changeEncryption(of: type.id, id, at: now) { encryption in
          encryption.provider = provider ?? encryption.provider
          encryption.location = location ?? encryption.location
          if isCipherSaid { encryption.cipher = cipher }
          if isSizeSaid { encryption.keySize = keySize }
        }
      }
      call.context.logger.info("Encryption of a volume type changed", metadata: ["type.id": "\(type.id)"])
      return try Response.json(["encryption": fields.values.mapValues { EncryptionChange($0) }])
    }
    routes.on(.delete, "types/:id/encryption/:encryption", needs: .writeTypes) { call in
      let (type, id) = (try call.typeInPath(), try call.id("encryption", ofA: "Encryption") as VolumeEncryptionID)
      try await call.api.store.write { try $0.removeEncryption(of: type.id, id) }
      call.context.logger.info("Encryption of a volume type removed", metadata: ["type.id": "\(type.id)"])
      return .accepted
    }
    routes.on(.get, "volumes/:id/encryption", needs: .readVolumes) { call in
      _ = try call.tables.volume(try call.id("id", ofA: "Volume"), of: call.caller.scope)
      return try Response.json(["encryption_key_id": OrNull<String>(wrappedValue: nil)])
    }
  }
}

/// What was said of one member, as it was said.
private struct EncryptionChange: Encodable {
  let value: JSONValue

  init(_ value: JSONValue) { self.value = value }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch value {
    case .string(let text): try container.encode(text)
    case .integer(let number): try container.encode(number)
    case .bool, .number, .array, .object, .null: try container.encodeNil()
    }
  }
}

extension Call {
  fileprivate func encryptionFields() async throws -> RequestFields {
    let body = try await body()
    try body.refuseUnknown(except: ["encryption"])
    let fields = try body.root("encryption")
    try fields.refuseUnknown(except: ["provider", "cipher", "key_size", "control_location"])
    return fields
  }
}

extension RequestFields {
  /// In bits; also as a text, as some clients write it.
  fileprivate func keySize() throws(StorageError) -> Int? {
    if case .string(let text) = value("key_size"), let number = Int(text) {
      return try RequestFields(["key_size": .integer(number)]).keySize()
    }
    return try integer("key_size", in: 0...2_147_483_647)
  }

  fileprivate func encryptionLocation() throws(StorageError) -> VolumeEncryption.Location? {
    guard let text = try text("control_location") else { return nil }
    guard let location = VolumeEncryption.Location(rawValue: text) else {
      throw .invalid("control_location", "must be front-end or back-end, not '\(text.prefix(40))'.")
    }
    return location
  }
}
