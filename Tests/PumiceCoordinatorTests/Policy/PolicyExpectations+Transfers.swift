import PumiceModel

extension PolicyExpectation {
  static let transfers: [PolicyExpectation] = ["os-volume-transfer", "volume-transfers"].flatMap { path in
    [
      .init("GET v3/\(path)", .reader, 200), .init("GET v3/\(path)/detail", .reader, 200),
      .own("GET v3/\(path)/{id}", .reader, 200),
      .own("POST v3/\(path)", .member, 202, body: #"{"transfer": {"volume_id": "VOLUME"}}"#),
      // Whose it is makes no difference here, but who has the key.
      .init("POST v3/\(path)/{id}/accept", .member, 400, body: #"{"accept": {"auth_key": "a guess"}}"#),
      .own("DELETE v3/\(path)/{id}", .member, 202),
    ]
  }
}
