import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct VolumeListTests {
  private func names(_ answer: Answer) -> [String] { answer["volumes"].array.compactMap { $0["name"].string } }

  @Test func listsBeginWithTheNewestAndFollowEveryChange() async throws {
    try await withCoordinator { (coordinator) async throws in
      var ids: [VolumeID] = []
      for name in ["a", "b", "c"] {
        ids.append(try await coordinator.volume(name))
        #expect(names(try await coordinator.get("/v3/demo/volumes")).first == name)
      }
      #expect(names(try await coordinator.get("/v3/demo/volumes/detail")) == ["c", "b", "a"])
      _ = try await coordinator.send(.delete, "/v3/demo/volumes/\(ids[1])")
      try await coordinator.until("b is gone") { $0.volumes[ids[1]]?.state == .deleted }
      #expect(names(try await coordinator.get("/v3/demo/volumes")) == ["c", "a"])
      #expect(
        try await coordinator.get("/v3/demo/volumes")["volumes"][0].object.keys.sorted() == ["id", "links", "name"])
      #expect(try await coordinator.get("/v3/empty/volumes").text == #"{"volumes":[]}"#)
    }
  }

  @Test(arguments: ["", "/detail"], ["", "&sort=name:desc", "&status=available"])
  func thePagesTogetherAreTheList(path: String, more: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      for name in ["a", "b", "c", "d", "e"] { try await coordinator.volume(name) }
      var next = "/v3/demo/volumes\(path)?limit=2\(more)"
      var pages: [[String]] = []
      while true {
        let answer = try await coordinator.get(next)
        pages.append(names(answer))
        guard let link = answer["volumes_links"].array.first else { break }
        #expect(link["rel"] == .string("next"))
        let href = try #require(link["href"].string)
        #expect(href.hasPrefix("http://localhost/v3/demo/volumes\(path)?limit=2"))
        next = String(href.dropFirst("http://localhost".count))
      }
      #expect(pages == [["e", "d"], ["c", "b"], ["a"]])
    }
  }

  @Test func theLinkOfAFullLastPageIsLeftOut() async throws {
    try await withCoordinator { (coordinator) async throws in
      for name in ["a", "b"] { try await coordinator.volume(name) }
      #expect(try await coordinator.get("/v3/demo/volumes?limit=2").json.object["volumes_links"] == nil)
      #expect(names(try await coordinator.get("/v3/demo/volumes?limit=0")).isEmpty)
      #expect(names(try await coordinator.get("/v3/demo/volumes?offset=1")) == ["a"])
      #expect(names(try await coordinator.get("/v3/demo/volumes?offset=9")).isEmpty)
      #expect(names(try await coordinator.get("/v3/demo/volumes?limit=100000")) == ["b", "a"])
    }
  }

  @Test func volumesAreSorted() async throws {
    try await withCoordinator { (coordinator) async throws in
      for (name, size) in [("b", 2), ("c", 1), ("a", 2)] { try await coordinator.volume(name, size: size) }
      for (sort, expected) in [
        ("sort=name:asc", "abc"), ("sort=name:desc", "cba"), ("sort=size:asc,name:asc", "cab"),
        ("sort=size:desc,name:desc", "bac"), ("sort_key=name&sort_dir=asc", "abc"), ("sort=created_at:asc", "bca"),
        ("sort=created_at", "acb"), ("sort_dir=asc", "bca"),
      ] {
        #expect(names(try await coordinator.get("/v3/demo/volumes?\(sort)")).joined() == expected, "\(sort)")
      }
    }
  }

  @Test func volumesAreFiltered() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", zone: "az1"), FakeNode("n2", zone: "az2")]) {
      (coordinator) async throws in
      try await coordinator.volume(
        "web-1", more: #", "availability_zone": "az1", "metadata": {"tier": "gold", "x": "1"}"#)
      try await coordinator.volume("web-2", more: #", "availability_zone": "az2", "metadata": {"tier": "gold"}"#)
      try await coordinator.volume("db", size: 4, more: #", "availability_zone": "az2""#)
      for (query, expected) in [
        ("name=db", ["db"]), ("name=web", []), ("name~=web", ["web-2", "web-1"]),
        ("status=available", ["db", "web-2", "web-1"]),
        ("status=in-use", []), ("availability_zone=az2", ["db", "web-2"]), ("size=4", ["db"]), ("bootable=true", []),
        ("bootable=false", ["db", "web-2", "web-1"]), ("metadata=%7B%22tier%22:%22gold%22%7D", ["web-2", "web-1"]),
        ("metadata=%7B'x':+'1'%7D", ["web-1"]), ("volume_type=__DEFAULT__&name=db", ["db"]),
        ("created_at=gt:2001-01-01", ["db", "web-2", "web-1"]), ("created_at=gt:2020-01-01", []),
        ("consumes_quota=true", ["db", "web-2", "web-1"]), ("consumes_quota=false", []), ("host=n1@ssd", ["web-1"]),
        ("group_id=x", []),
      ] as [(String, [String])] {
        #expect(names(try await coordinator.get("/v3/demo/volumes?\(query)", version: "3.65")) == expected, "\(query)")
      }
      #expect(names(try await coordinator.get("/v3/demo/volumes?colour=red", version: "3.30")).count == 3)
    }
  }

  @Test func theCountIsThatOfAllPages() async throws {
    try await withCoordinator { (coordinator) async throws in
      for name in ["a", "b", "c"] { try await coordinator.volume(name) }
      let answer = try await coordinator.get("/v3/demo/volumes?limit=1&with_count=true", version: "3.45")
      #expect(answer["count"] == .integer(3))
      #expect(answer["volumes"].array.count == 1)
      #expect(
        try await coordinator.get("/v3/demo/volumes?with_count=true", version: "3.44").json.object["count"] == nil)
      let filtered = try await coordinator.get("/v3/demo/volumes/detail?with_count=1&name=b", version: "3.45")
      #expect(filtered["count"] == .integer(1))
    }
  }

  @Test func theOrderIsRightWhateverCameOrWentMeanwhile() {
    var tables = Tables()
    let ordering = NewestFirst<Volume>()
    var dice = SystemRandomNumberGenerator()
    var expected: [Volume] = []
    for round in 0..<200 {
      for _ in 0..<Int.random(in: 0...(round % 40 == 0 ? 200 : 3), using: &dice) {
        let volume = Volume(
          id: .random(), project: "p", name: "", size: .gibibytes(1), type: .standard,
          createdAt: Timestamp(milliseconds: Int64.random(in: 0...50, using: &dice)))
        tables.put(volume)
        expected.append(volume)
      }
      if let index = expected.indices.randomElement(using: &dice), round % 3 == 0 {
        var volume = expected.remove(at: index)
        #expect(throws: Never.self) {
          try volume.fail("", at: .start)
          try volume.beginDeleting(at: .start)
        }
        tables.put(volume)
      }
      let ids = ordering.places(of: "p", tables.volumeIDs(of: "p")) { tables.volumes[$0]?.createdAt }.map(\.id)
      #expect(ids == expected.sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }.map(\.id))
    }
  }
}
