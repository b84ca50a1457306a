"""The CRI's ImageService over the catalogue."""

from __future__ import annotations

import time
from pathlib import Path

from labkit.cri import api_pb2 as api
from labkit.cri import messages, stats
from labkit.cri.store import ImageStore


class ImageService:
    """Answers kubelet's calls about images.

    Parameters
    ----------
    images : ImageStore
        What has been pulled and what can be.
    state_dir : Path
        Where containers' roots are.
    """

    def __init__(self, images: ImageStore, state_dir: Path) -> None:
        self._images = images
        self._state_dir = state_dir

    async def list_images(self, request: api.ListImagesRequest) -> api.ListImagesResponse:
        """List the pulled images."""
        wanted = request.filter.image.image
        found = self._images.find(wanted) if wanted else None
        entries = ([found] if found else []) if wanted else self._images.all()
        return api.ListImagesResponse(images=[messages.image(*entry) for entry in entries])

    async def image_status(self, request: api.ImageStatusRequest) -> api.ImageStatusResponse:
        """Say what a pulled image is; nothing if it has not been pulled."""
        found = self._images.find(request.image.image)
        return api.ImageStatusResponse(image=messages.image(*found)) if found else api.ImageStatusResponse()

    async def pull_image(self, request: api.PullImageRequest) -> api.PullImageResponse:
        """Take an image from the catalogue."""
        return api.PullImageResponse(image_ref=self._images.pull(request.image.image).id)

    async def remove_image(self, request: api.RemoveImageRequest) -> api.RemoveImageResponse:
        """Forget an image."""
        self._images.remove(request.image.image)
        return api.RemoveImageResponse()

    async def image_fs_info(self, _request: api.ImageFsInfoRequest) -> api.ImageFsInfoResponse:
        """Say what images and containers' roots use."""
        now, path = time.time_ns(), self._state_dir.as_posix()
        images = self._images.all()
        containers, files = stats.disk(self._state_dir / "containers")
        size = sum(image.size() for image, _ in images)
        return api.ImageFsInfoResponse(
            image_filesystems=[messages.filesystem(path, size, len(images), now)],
            container_filesystems=[messages.filesystem(path, containers, files, now)],
        )
