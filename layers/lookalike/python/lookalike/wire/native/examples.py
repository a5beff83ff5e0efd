"""Examples of requests and answers, by the names of calls, for the API's document."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

import lookalike
from lookalike.domain.picture import sign_of
from lookalike.wire.native import answers, job_answers, requests, session, uploads, written
from lookalike.wire.native.bulk import RowSaid, TotalsSaid

#: A picture small enough to be read here: two grey squares, as WebP.
PICTURE = (
    "UklGRkoAAABXRUJQVlA4TD4AAAAvH8AHABcgFkxDYoPoTiyYhsQG0Z1YMA2JDaK7+Q+s/KCokSRl3quO90DiOD0QENH/CeCVu+qEAHodyJ88Dw=="
)

#: Values of parameters, by their names.
PARAMETERS: Mapping[str, str] = {"library": "shop", "id": "sku-1", "job": "sweep-1"}

_IMAGE = requests.ImageGiven(base64=PICTURE)

_LIBRARY = answers.LibrarySaid(
    name="shop", kind="same", identity="own", pictures=1, capacity=100_000, created="2026-01-02T03:04:05.000Z"
)

_REVISION = 1_767_323_045_678

_DIGEST = "f8359ee9c6f2d1c0f8359ee9c6f2d1c0f8359ee9c6f2d1c0f8359ee9c6f2d1c0"

_PATH = "/api/v1/libraries/shop/pictures/sku-1"

_ADDED = written.AddedSaid(
    library="shop",
    id="sku-1",
    path=_PATH,
    image=f"{_PATH}/image?v={_REVISION}",
    cont_sign=sign_of(_DIGEST),
    digest=_DIGEST,
    revision=_REVISION,
    added="2026-01-02T03:04:05.678Z",
    state="live",
    brief="red shoe",
    tags=("100",),
    created=True,
)

_PICTURE = answers.PictureSaid(
    **{name: getattr(_ADDED, name) for name in answers.PictureSaid.__struct_fields__},
)

_WRITTEN = written.WrittenSaid(
    **{name: getattr(_ADDED, name) for name in answers.PictureSaid.__struct_fields__},
)

_PROOF = answers.ProofSaid(
    probability=0.998,
    inliers=37,
    transform=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    region=(0.0, 0.1, 1.0, 0.97),
    mirrored=False,
    inverted=False,
    query_percent=100.0,
    picture_percent=100.0,
    agreement=0.93,
)

_MATCH = answers.MatchSaid(
    library="shop",
    id="sku-1",
    path=_PATH,
    score=0.93,
    cosine=0.97,
    why="proved",
    revision=_REVISION,
    cont_sign=sign_of(_DIGEST),
    brief="red shoe",
    tags=("100",),
    proof=_PROOF,
)

_FOUND = answers.FoundSaid(
    query=answers.QuerySaid(width=32, height=32),
    matches=(_MATCH,),
    took_ms=41.2,
    model="lite0",
    trace=(answers.LookSaid(name="whole", views=5, prepare_ms=2.1, embed_ms=25.0, search_ms=0.4, verify_ms=11.3),),
)

_SEARCH = requests.SearchGiven(
    image=_IMAGE,
    limit=20,
    threshold=0.5,
    filter=requests.FilterGiven(all_of=(requests.TagGiven(tag="100"),)),
    explain=True,
)

_CHANGE = requests.PictureChange(brief="red shoe, left")

_JOB = job_answers.JobSaid(
    id="sweep-1",
    path="/api/v1/jobs/sweep-1",
    kind="duplicates",
    library="shop",
    state="running",
    done=1_200,
    total=2_000,
    created="2026-01-02T03:04:05.000Z",
    updated="2026-01-02T03:04:17.000Z",
)

_LEVELS = job_answers.LevelsSaid(identical=3, same=12, similar=31)

_DUPLICATE = job_answers.DuplicateSaid(
    **{name: getattr(_PICTURE, name) for name in answers.PictureSaid.__struct_fields__},
    width=1200,
    height=800,
    bytes=251_034,
)

_CLUSTER = job_answers.ClusterSaid(
    pictures=(
        _DUPLICATE,
        msgspec.structs.replace(_DUPLICATE, id="sku-7", path=_PATH[:-1] + "7", width=600, height=400),
    ),
    pairs=(job_answers.PairSaid(a="sku-1", b="sku-7", level="same", score=0.997, cosine=0.95, proof=_PROOF),),
)

#: What a call takes.
GIVEN: Mapping[str, msgspec.Struct] = {
    "sign_in": session.SignInGiven(access_key="ACCESS_KEY", secret_key="SECRET_KEY"),  # noqa: S106 - words for both
    "put_library": requests.LibraryGiven(kind="same", capacity=100_000),
    "change_library": requests.LibraryChange(capacity=200_000),
    "add_picture": requests.PictureGiven(image=_IMAGE, id="sku-1", brief="red shoe", tags=("100",)),
    "put_picture": requests.PutGiven(image=_IMAGE, brief="red shoe", tags=("100",)),
    "change_picture": _CHANGE,
    "put_job": requests.JobGiven(kind="duplicates", library="shop"),
    "dismiss_duplicates": requests.DismissGiven(pictures=("sku-1", "sku-7")),
    "reconsider_duplicates": requests.DismissGiven(pictures=("sku-1", "sku-7")),
    "search_library": _SEARCH,
    "check_picture": requests.CheckGiven(image=requests.ImageGiven(url="https://example.com/shoe.jpg")),
    "search_several": requests.SearchManyGiven(image=_IMAGE, libraries=("shop",)),
    "compare_pictures": requests.CompareGiven(
        a=requests.ImageGiven(picture="sku-1", library="shop"), b=requests.ImageGiven(base64=PICTURE)
    ),
}

#: What it answers.
SAID: Mapping[str, msgspec.Struct] = {
    "get_session": session.SessionSaid(
        application="shop", app_id="123456789", access_key="ACCESS_KEY", expires="2026-01-02T11:04:05.000Z"
    ),
    "get_service": answers.ServiceSaid(
        name="lookalike",
        version=lookalike.__version__,
        model="lite0",
        pictures=answers.PictureLimitsSaid(
            max_bytes=10_485_760,
            max_upload_bytes=33_554_432,
            min_side=15,
            max_side=4999,
            formats=("BMP", "GIF", "JPEG", "PNG", "WEBP"),
        ),
        purge_after_days=7,
        openapi="/api/v1/openapi.json",
        problems="/api/v1/problems",
    ),
    "usage": answers.UsageSaid(
        application="shop",
        app_id="10000001",
        counted=True,
        days=(answers.DaySaid(day="2026-01-02", calls=1234, operations={"add": 34, "search": 1200}),),
        per_day=50_000,
        pictures=1234,
        capacity=500_000,
    ),
    "index": answers.IndexSaid(
        model="lite0",
        pictures=1234,
        generations={"same": "lookalike-same-2"},
        lag_seconds=0.0,
        dead_letters=0,
        last_purge="2026-01-02T03:00:00.000Z",
    ),
    "list_libraries": answers.LibrariesSaid(libraries=(_LIBRARY,)),
    "get_library": _LIBRARY,
    "put_library": _LIBRARY,
    "change_library": _LIBRARY,
    "list_of_pictures": answers.PicturesSaid(pictures=(_PICTURE,), next="c2t1LTE"),
    "get_picture": _PICTURE,
    "add_picture": _ADDED,
    "put_picture": _ADDED,
    "offer_upload": uploads.UploadSaid(
        upload="AGlXMeVfKJ8bq5ZkR0d1c2hvZS1yZWQtMTIz",
        url="http://localhost:8000/api/v1/uploads/AGlXMeVfKJ8bq5ZkR0d1c2hvZS1yZWQtMTIz",
        fields={"policy": "eyJ1cGxvYWQiOiAi…", "signature": "4f1c…"},
        max_bytes=33_554_432,
        send_before="2026-01-02T03:14:05.000Z",
        use_before="2026-01-02T04:04:05.000Z",
    ),
    "change_picture": msgspec.structs.replace(_WRITTEN, brief="red shoe, left", revision=_REVISION + 1),
    "restore_picture": _WRITTEN,
    "list_of_jobs": job_answers.JobsSaid(jobs=(_JOB,)),
    **dict.fromkeys(("put_job", "get_job", "resume_job", "find_duplicates"), _JOB),
    "pause_job": msgspec.structs.replace(_JOB, state="paused"),
    "cancel_job": msgspec.structs.replace(_JOB, state="cancelled"),
    "get_report": job_answers.ReportSaid(
        job=msgspec.structs.replace(_JOB, state="done", done=2_000),
        compared=2_000,
        judged=5_310,
        pairs=61,
        clusters=_LEVELS,
    ),
    "list_duplicates": job_answers.DuplicatesSaid(
        swept=job_answers.SweptSaid(job="sweep-1", finished="2026-01-02T03:04:25.000Z", clusters=_LEVELS),
        clusters=(_CLUSTER,),
        next="MDAwMDAwMTk",
    ),
    "search_library": _FOUND,
    "check_picture": answers.CheckSaid(held=False, nearest=_MATCH),
    "search_several": msgspec.structs.replace(_FOUND, trace=()),
    "compare_pictures": answers.ComparedSaid(
        identical=False, same=answers.SameSaid(score=0.93, proof=_PROOF), similar=0.83, product=0.44
    ),
}

#: Lines that a bulk call takes, and the lines that it answers.
ROWS_GIVEN = (
    requests.RowGiven(id="sku-2", url="https://example.com/2.jpg", brief="blue shoe"),
    requests.RowGiven(op="delete", id="sku-9"),
)
ROWS_SAID = (
    RowSaid(row=1, status=201, id="sku-2", created=True, revision=_REVISION),
    RowSaid(row=2, status=404, id="sku-9", code="picture_not_found", detail="the library holds no such picture"),
    TotalsSaid(rows=2, ok=1, refused=1, unfinished=0),
)
