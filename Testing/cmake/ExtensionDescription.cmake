# Checks what Slicer packages with an extension and writes the description that travels with it.

foreach(name IN ITEMS HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
endforeach()
foreach(name IN ITEMS README LICENSE)
  if(NOT EXISTS "${EXTENSION_${name}_FILE}")
    message(FATAL_ERROR "EXTENSION_${name}_FILE does not exist: '${EXTENSION_${name}_FILE}'")
  endif()
endforeach()

string(REPLACE ";" " " _depends "${EXTENSION_DEPENDS}")
set(_description "${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext")
file(WRITE "${_description}" "depends ${_depends}
homepage ${EXTENSION_HOMEPAGE}
contributors ${EXTENSION_CONTRIBUTORS}
category ${EXTENSION_CATEGORY}
iconurl ${EXTENSION_ICONURL}
description ${EXTENSION_DESCRIPTION}
screenshoturls ${EXTENSION_SCREENSHOTURLS}
enabled 1
")
install(FILES "${_description}" DESTINATION "${Slicer_INSTALL_SHARE_DIR}")
