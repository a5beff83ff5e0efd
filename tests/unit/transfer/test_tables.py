"""Tables of any encoding, delimiter and header are read alike; what is wrong with them is said in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import InvalidArgument
from lookalike.transfer.columns import Columns
from lookalike.transfer.rows import Row, SourceError
from lookalike.transfer.sources import open_source

#: Encodings that are told without being named, and whether a mark is written.
ENCODINGS = [
    ("utf-8", ""),
    ("utf-8-sig", ""),
    ("utf-16", ""),
    ("utf-16-le", "\ufeff"),
    ("utf-16-be", "\ufeff"),
    ("utf-16-le", ""),
    ("utf-16-be", ""),
    ("gb18030", ""),
]
TEXT = "id,file,brief\n1,a.jpg,Grüße 白色运动鞋\n"


def rows(path: Path, mapped: str = "", encoding: str | None = None) -> list[Row]:
    return list(open_source(path, Columns.parse(mapped), encoding).rows())


@pytest.mark.parametrize(("encoding", "mark"), ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_told(tmp_path: Path, encoding: str, mark: str, delimiter: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes((mark + TEXT.replace(",", delimiter)).encode(encoding))
    (row,) = rows(table)
    assert (row.id, row.file, row.brief) == ("1", tmp_path / "a.jpg", "Grüße 白色运动鞋")


@pytest.mark.parametrize(("encoding", "mark"), ENCODINGS)
def test_json_lines_in_any_encoding(tmp_path: Path, encoding: str, mark: str) -> None:
    table = tmp_path / "t.jsonl"
    said = {"id": 7, "file": "a.jpg", "brief": "白色运动鞋", "tags": ["a", "b"], "desc": {"n": 1}, "other": 1}
    table.write_bytes((mark + json.dumps(said, ensure_ascii=False) + "\n\n").encode(encoding))
    (row,) = rows(table)
    assert (row.id, row.brief, row.tags, row.desc) == ("7", "白色运动鞋", ("a", "b"), '{"n": 1}')


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20)


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z]{1,9}\.jpg", fullmatch=True), CELLS), min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_spreadsheets_write_is_read_as_it_was(said: list[tuple[str, str]], delimiter: str, encoding: str) -> None:
    with TemporaryDirectory() as folder:
        table = Path(folder) / "t.csv"
        with table.open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(["file", "brief"])
            writer.writerows(said)
        assert [(row.source, row.brief, row.number) for row in rows(table)] == [
            (*one, number) for number, one in enumerate(said, 1)
        ]


@pytest.mark.parametrize(
    ("text", "mapped", "said"),
    [
        ("a,b\n1,2\n", "", "no column is called file, url, base64; its first line is 'a', 'b'; say which it is"),
        ("a.jpg,x\nb.jpg,y\n", "", "its first line is 'a.jpg', 'x'"),
        ("file,brief,File\n", "", "t.csv has two columns called 'File'"),
        (";;\n", "", "its first line is empty, and should name the columns"),
        ("", "", "its first line is empty, and should name the columns"),
        ("file\n", "brief=title", "has no column 'title'; it has 'file'"),
        ("file\n", "title=brief", "'title' is none of id, file, url"),
        ("file\n", "brief", "'brief' is not field=column"),
        ("file\n", "id=a,id=b", "id stands there twice"),
    ],
)
def test_a_header_that_says_nothing(tmp_path: Path, text: str, mapped: str, said: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(text)
    with pytest.raises((InvalidArgument, SourceError), match=said) as error:
        rows(table, mapped)
    assert "\n" not in str(error.value)


def test_a_row_that_says_too_much_or_too_little(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('file,url,brief,\n,,nothing,\na.jpg,http://x/,two,\na.jpg\n\na.jpg,,x,,y\n"a\nb.jpg",,,\n')
    faults = [row.fault for row in rows(table)]
    assert faults == [
        "names no file or URL",
        "has file and url: one of them is enough",
        "",
        "has 5 cells, and the header 4; a text with a comma in it stands in double quotation marks",
        "",
    ]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_quotation_mark_that_nothing_ends_swallows_no_rows(tmp_path: Path, end: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(f'file,brief\r\na.jpg,"two\r\nlines"\r\nb.jpg,"no end\r\nc.jpg,x{end}'.encode())
    with pytest.raises(SourceError, match=r"t.csv: line 4 has a quotation mark that nothing ends$"):
        rows(table)
    table.write_bytes(f'file,brief\r\na.jpg,"two\r\nlines"\r\nb.jpg,"an end"{end}'.encode())
    assert [row.brief for row in rows(table)] == ["two\r\nlines", "an end"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_files_that_no_row_names_are_said(tmp_path: Path, name: str) -> None:
    for file in ("a.jpg", "b.jpg", "notes.txt", "sub/c.jpg", "sub/d.jpg", "other/e.jpg"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    files = ["./a.jpg", "sub/../sub/c.jpg", "none/x.jpg"]
    lines = ["file", *files] if name == "t.csv" else [json.dumps({"file": file}) for file in files]
    (tmp_path / name).write_text("\n".join(lines))
    source = open_source(tmp_path / name, Columns())
    assert len(list(source.rows())) == 3
    next(source.rows())  # another reading that has not come to its end
    assert source.notes() == ["picture files beside those of the rows that no row names: 2"]
    (tmp_path / "b.jpg").unlink()
    (tmp_path / "sub/d.jpg").unlink()
    assert source.notes() == []


def test_files_beside_a_table_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("a.jpg", "b.jpg"):
        Path(file).touch()
    Path("t.csv").write_text("file\na.jpg\n")
    source = open_source(Path("t.csv"), Columns())
    assert len([*source.rows()]) == 1
    assert source.notes() == ["picture files beside those of the rows that no row names: 1"]


def test_lines_that_are_no_objects(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text(
        '{"file": "a.jpg"}\n[]\n{"file": "b.jpg"\n{"file": 5}\n{"file": "c.jpg", "tags": 5}\n{"url": "http://x"}\n'
    )
    assert [row.fault for row in rows(table)] == [
        "",
        "not a JSON object",
        "not a JSON object",
        "file: a number, and should be a text in quotation marks",
        "tags: a number, and should be a text or a list of texts",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("file,sign,brief\na.jpg,300,3,x\n", '; a text with a comma in it stands in double quotation marks: "300,3"'),
        ("file,brief,sign\na.jpg,x,300, 3\n", '; a text with a comma in it stands in double quotation marks: "300,3"'),
        ("file,brief,sign\na.jpg,x,y,300\n", "; a text with a comma in it stands in double quotation marks"),
        ("file,brief,sign\na.jpg,1,2,3,4\n", "; a text with a comma in it stands in double quotation marks"),
        ("file;brief;sign\na.jpg;x;300;3\n", "; a text with a semicolon in it stands in double quotation marks"),
    ],
)
def test_a_sign_without_quotation_marks(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    (row,) = rows(tmp_path / "t.csv")
    header, line = (len(one.replace(";", ",").split(",")) for one in text.splitlines())
    assert row.fault == f"has {line} cells, and the header {header}{fault}"


@pytest.mark.parametrize("what", ["columns", "members"])
def test_what_says_nothing_is_said(tmp_path: Path, what: str) -> None:
    hint = "Cont_Sign is what Baidu and Jumdata call a picture: --from baidu or --from jumdata keeps it"
    for names, said in (
        (["file"], []),
        (["file", "title"], [f"{what} that say nothing here: title"]),
        (["file", "Cont_Sign", "x"], [f"{what} that say nothing here: Cont_Sign, x", hint]),
        (["file", "sign", "Cont_Sign"], [f"{what} that say nothing here: Cont_Sign"]),
        (
            ["file", *(f"c{n}" for n in range(30))],
            [f"{what} that say nothing here: {', '.join(f'c{n}' for n in range(20))}, and others"],
        ),
    ):
        if what == "columns":
            table = tmp_path / "t.csv"
            table.write_text(",".join(names) + "\n")
        else:
            table = tmp_path / "t.jsonl"
            table.write_text("".join(json.dumps({"file": "a", name: "b"}) + "\n" for name in names * 2))
        source = open_source(table, Columns())
        assert len([*source.rows()]) == (0 if what == "columns" else 2 * len(names))
        assert source.notes() == said


def test_columns_are_mapped_or_left_out(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("SKU,Title,Category,id,Picture\n5,Shoe,a;b|c,x,p.jpg\n")
    source = open_source(table, Columns.parse("id=sku,brief=title,tags=category,file=picture"))
    (row,) = source.rows()
    assert (row.id, row.brief, row.tags, row.source) == ("5", "Shoe", ("a", "b", "c"), "p.jpg")
    assert source.has_ids
    assert source.notes() == ["columns that say nothing here: id"]
    assert not open_source(table, Columns.parse("id=,file=picture")).has_ids


def test_a_label_is_json_or_text(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('file;label;desc\na.jpg;plain;"{""n"":1.10}"\n')
    (row,) = rows(table)
    assert (row.label, row.desc) == ('"plain"', '{"n":1.10}')


def test_an_encoding_that_is_none(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"file,brief\na.jpg,caf\xe9\n\xff\xff\n")
    with pytest.raises(SourceError, match="neither UTF-8, UTF-16 nor GB18030; name its encoding with --encoding"):
        rows(table)
    assert rows(table, encoding="latin-1")[0].brief == "café"
    with pytest.raises(SourceError, match="--encoding: there is none called klingon"):
        rows(table, encoding="klingon")


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="there is no such folder or file"):
        rows(tmp_path / "none")
    (tmp_path / "a.zip").touch()
    with pytest.raises(InvalidArgument, match="a folder, or a file that ends in"):
        rows(tmp_path / "a.zip")
    with pytest.raises(InvalidArgument, match="a folder has no columns"):
        rows(tmp_path, "id=x")
    (tmp_path / "a.jsonl").write_text("[]\n")
    with pytest.raises(SourceError, match="no line of it is a JSON object"):
        rows(tmp_path / "a.jsonl")


def test_a_folder_s_pictures_and_what_lies_beside_them(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/c.PNG", ".hidden/x.jpg", ".d.jpg", "@eaDir/x.jpg", "notes.txt", "no-ending"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    (tmp_path / "b.jpg.json").write_text('{"brief": "said", "tags": "1,2", "id": "ignored"}')
    (tmp_path / "a/c.PNG.json").write_text("[]")
    source = open_source(tmp_path, Columns())
    said = [(row.source, row.brief, row.tags, row.fault) for row in source.rows()]
    assert said == [
        ("b.jpg", "said", ("1", "2"), ""),
        ("picture", "picture", (), ""),
        ("a/c.PNG", "", (), "c.PNG.json is no JSON object"),
    ]
    assert source.notes() == ["files that are no pictures, and were passed over: 2"]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=700))
def test_every_source_makes_an_id_that_a_library_takes(source: str) -> None:
    id_ = Row(1, source).own_id()
    assert 1 <= len(id_.encode()) <= 512
    assert "\0" not in id_
    assert id_ == Row(2, source).own_id()
